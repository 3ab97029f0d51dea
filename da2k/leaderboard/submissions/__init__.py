"""What is handed in: opened, checked, and put on the board."""
