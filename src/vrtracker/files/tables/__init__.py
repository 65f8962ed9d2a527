"""Files of rows as people have them: read into cells, and cells into what columns mean by them.

`content` tells what a file is, `text`, `workbooks` and `parquet` read it, `headers` finds the
columns that its headers name, `meaning` and its neighbours read the cells. No database here.
"""
