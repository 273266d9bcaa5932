"""What a document is drawn on: paper (PDF), a workbook, a mail. None reads the database or the clock."""
