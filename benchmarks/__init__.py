"""What the figures of docs/ come from; each benchmark is a program, and a peer runs beside us in it."""
