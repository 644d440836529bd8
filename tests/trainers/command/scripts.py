"""Scripts that the tests run as commands."""

PLAIN = """
import os, sys
rate, epochs = float(sys.argv[1]), int(os.environ["TUNER_EPOCHS"])
print("a command says hello", file=sys.stderr)
for epoch in range(epochs):
    print(f"epoch {epoch}: train_loss={rate / (epoch + 1)} val_loss={rate + 1 / (epoch + 1)} lr={rate}")
"""

STATEFUL = """
import json, os, random
from pathlib import Path
import tuner

p = tuner.params(rate=0.5)
folder = Path(os.environ.get("TUNER_CHECKPOINT", "."))
file = folder / "last.json"
random.seed(int(os.environ.get("TUNER_SEED", 0)))
place, steps, stream = p["rate"], 0, None
if file.exists():
    place, steps, stream = json.loads(file.read_text())
    random.setstate((stream[0], tuple(stream[1]), stream[2]))
try:
    while steps < 40:
        place *= 1 - 0.1 * random.random()
        steps += 1
        file.write_text(json.dumps([place, steps, random.getstate()]))
        tuner.report(train_loss=place, val_loss=place + abs(2 - steps), state=folder, model=file)
finally:
    if "DONE" in os.environ:
        Path(os.environ["DONE"]).write_text(f"{steps}")
"""
