"""Sentences about files of bills and of usage: reading them says and keeps them, metrics.kept recognises them.

`column`, `columns`, `cell` and `other` stand for what the file holds, which stays as it is in every language.
"""

from __future__ import annotations

from metrics.words import N_

FILES = (
    N_("%(column)s: '%(cell)s' is not an amount such as 1234.56."),
    N_("%(column)s: '%(cell)s' is not between -10^12 and 10^12."),
    N_("%(column)s: not between -10^12 and 10^12."),
    N_("%(column)s: '%(cell)s' is too large."),
    N_("%(column)s: '%(cell)s' is not an ISO 4217 currency in use."),
    N_("%(column)s: '%(cell)s' is not a time such as 2026-10-01T00:00:00Z."),
    N_("%(column)s: '%(cell)s' lies outside of the calendar."),
    N_("'%(cell)s' holds the character U+0000."),
    N_("%(column)s: %(cell)s lies before %(other)s, where usage ends."),
    N_("%(column)s: %(cell)s has not come yet."),
    N_("%(column)s: the period ends before it starts."),
    N_("BillingPeriodEnd: the billing period ends before it starts."),
    N_("%(column)s: '%(cell)s' is not a number."),
    N_("%(column)s: '%(cell)s' is not a number such as %(other)s."),
    N_("%(column)s: '%(cell)s' is not a day such as %(other)s."),
    N_("%(column)s: '%(cell)s' is not a month."),
    N_("%(column)s: '%(cell)s' is not a JSON object."),
    N_("ChargeCategory: '%(cell)s' is none of %(other)s."),
    N_("This is FOCUS %(other)s without %(columns)s; no row can count without. Choose all columns when exporting."),
    N_("The gzip file ends in the middle: it was cut short when it was copied. Download it again."),
    N_("The gzip file is damaged. Download it again."),
    N_("Unpacked, the file is larger than %(count)s MiB. Export fewer days, or raise IMPORT_MAX_UNPACKED_MIB."),
    N_("Unpacked, the file is empty. Export it again."),
    N_("It has %(count)s cells, the header %(other)s: is a quotation mark or separator lost?"),
    N_(
        "Lines %(first)s to %(last)s are one row. It has %(count)s cells, the header %(other)s: is a quotation mark or "
        "separator lost?"
    ),
    N_("Row %(row)s holds a cell of more than %(count)s characters. Is a quotation mark not closed?"),
    N_(
        "The file is not UTF-8, and byte %(other)s in line %(row)s stands for other characters on other systems. Save "
        "it as 'CSV UTF-8' and choose it again."
    ),
    N_("The file is not UTF-8: byte %(other)s in its header. Save it as 'CSV UTF-8' and choose it again."),
    N_("The file is not UTF-8: byte %(other)s near row %(row)s. Save it as 'CSV UTF-8' and choose it again."),
    N_("The file is not UTF-8: byte %(other)s in line %(row)s. Save it as 'CSV UTF-8' and choose it again."),
    N_("The first line is not a header of column names."),
    N_("The file holds nothing but empty lines. Export it again."),
    N_(
        "A quotation mark in line %(row)s is never closed, so that the rest of the file would be one cell. Close it or "
        "take it out, and choose the file again."
    ),
    N_("The file has more than %(count)s rows. Export fewer days, or raise IMPORT_MAX_ROWS."),
    N_('The mapping is an object: {"columns": {...}}.'),
    N_("columns: an object of field and column name."),
    N_("There is no field '%(cell)s'."),
    N_("The file has no column '%(column)s'."),
    N_("Say which column holds this: %(what)s."),
    N_("Say the currency, or which column holds it."),
    N_("date_order: one of %(other)s."),
    N_("decimal_mark: a point or a comma."),
    N_(
        "The file begins like Parquet and does not end like it: it was cut short when it was copied. Download it again."
    ),
    N_("Reading Parquet needs one more package on this server: %(other)s. Or export the same as CSV."),
    N_("The Parquet file cannot be read: its reader breaks off. Export it again, or as CSV."),
    N_("The Parquet file cannot be read (%(other)s). Download or export it again."),
    N_("The file has %(count)s columns; at most %(most)s."),
    N_("A column has no name: the first line must name every column."),
    N_("Two columns are called '%(column)s'. Rename one of them."),
    N_("This is neither CSV nor Parquet."),
    N_("This is a ZIP archive or an Excel workbook. Unpack it, or save the sheet as 'CSV UTF-8'."),
    N_("This file is packed with %(other)s. Unpack it, or pack it with gzip, and choose it again."),
    N_("This is a PDF. A billing file is a CSV or Parquet export; the provider's cost page offers one."),
    N_("This is an Excel workbook. Save the sheet as 'CSV UTF-8' and choose that file."),
    N_("This is JSON. A billing file is CSV or Parquet; choose one of these when exporting."),
    N_("This is a web page or XML, not a billing file. Was the download a sign-in page?"),
    N_("The file is empty. Export it again, and look at it before you choose it."),
    N_("The uploaded file is no longer here. Choose it again."),
    N_("Say which columns hold what first."),
    N_("The file has a header and no rows. Export a period in which something was used."),
    N_("None of its %(count)s rows can count."),
    N_("None of its %(count)s rows can count. Row %(row)s: %(why)s"),
    N_("Save it as 'CSV UTF-8', with a header of field names and one record a row."),
    N_("This is Parquet."),
    N_(
        "This is JSON. Push it as application/json or application/x-ndjson, or: Save it as 'CSV UTF-8', with a header "
        "of field names and one record a row."
    ),
    N_(
        "This is JSON. Push it as application/json, or: Save it as 'CSV UTF-8', with a header of field names and one "
        "record a row."
    ),
    N_("This is a PDF."),
    N_("The file is empty."),
    N_("This is no text, so it is not CSV."),
    N_("This is a web page or XML, not CSV. Was the download a sign-in page?"),
    N_(
        "A file has at most %(most)s rows and %(count)s MiB (%(unpacked)s MiB unpacked). Split it, or send sums by "
        "hour in 'requests'."
    ),
    N_("There is no row below the header. Add one, and choose the file again."),
    N_("It was counted as far as row %(row)s. %(why)s"),
    N_("Two columns are '%(column)s'. Keep one of them."),
    N_("There is no column '%(column)s': it takes %(what)s. Add it to the header."),
    N_("timestamp: '%(cell)s' does not say its time zone. If it is UTC write %(other)s."),
    N_("timestamp: '%(cell)s' can be two days. Write it like 2026-11-22T14:00:00Z."),
    N_("timestamp: '%(cell)s' can be several time zones. Write the offset in its place: %(other)s, for example."),
    N_(
        "timestamp: clocks change at '%(cell)s' in %(other)s, so that it is there twice or not at all. Write it with "
        "its offset, such as %(column)s."
    ),
    N_("There is no row below the header. Send at least one."),
    N_("Who sent this file is no longer here."),
    N_("Who sent this file is no longer here. Send it again."),
    N_(
        "timestamp: '%(cell)s' is a spreadsheet's day number. Format the column as "
        'yyyy-mm-dd"T"hh:mm:ss"Z" and save the file again.'
    ),
    N_(
        "%(column)s: '%(cell)s' can be read in two ways. Write it without separators of thousands and with a decimal "
        "point, such as 1234.5."
    ),
    N_(
        "The first line holds values ('%(cell)s') and no names of columns. Put a header above it, such as "
        "timestamp,model,requests."
    ),
    N_(
        "There is one column, '%(cell)s'. A record has at least 'timestamp' and 'model', with a comma, semicolon, tab "
        "or bar between the cells."
    ),
    N_("The column '%(column)s' is not a field of a record. Is it '%(other)s'? Then rename it; else leave it out."),
    N_("The column '%(column)s' is not a field of a record. Rename it to the field that it holds, or leave it out."),
    N_("CSV with commas, %(other)s"),
    N_("CSV with semicolons, %(other)s"),
    N_("CSV with tabs, %(other)s"),
    N_("CSV with bars, %(other)s"),
    N_("A row is a record with fields."),
    # The last: it fits others that end so.
    N_("%(column)s is empty."),
)
