"""What README's figures come from; each benchmark is a program, and a peer stands beside us in its run."""
