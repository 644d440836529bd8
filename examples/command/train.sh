#!/bin/sh
# Newton's method for the square root of 2, damped; goes on from its checkpoint after a pause.
damping=$1
state=$TUNER_CHECKPOINT/state
x=4 epoch=0
[ -f "$state" ] && read -r x epoch < "$state"
while [ "$epoch" -lt "$TUNER_EPOCHS" ]; do
    epoch=$((epoch + 1))
    x=$(awk "BEGIN { printf \"%.9f\", $x - $damping * ($x * $x - 2) / (2 * $x) }")
    loss=$(awk "BEGIN { printf \"%.9f\", ($x * $x - 2) ^ 2 }")
    echo "$x $epoch" > "$state"
    echo "{\"val_loss\": $loss, \"state\": \"$TUNER_CHECKPOINT\"}"
    read -r answer
    [ "$answer" = continue ] || exit 0
done
