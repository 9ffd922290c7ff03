"""What a reader sees: figures drawn from the saved tables, tables and progress on the terminal."""
