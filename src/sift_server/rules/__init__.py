"""Rules: conditions over channels, evaluated as data comes or when asked, that make annotations."""
