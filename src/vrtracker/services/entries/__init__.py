"""The lab's rows: list, look up, add, edit, delete; enter the day's sessions; files of rows."""
