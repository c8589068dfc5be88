"""Rules: expressions over channels, and what happens where they are true."""
