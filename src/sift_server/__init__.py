"""The open server: takes the data of any published client, keeps it, and gives it back."""
