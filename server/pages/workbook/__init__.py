"""The pages of the workbook: fetched, checked and sent in by those who have no system of their own."""
