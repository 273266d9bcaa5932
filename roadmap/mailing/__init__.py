"""Reports by mail: claimed row by row, handed over once, and what became of each."""
