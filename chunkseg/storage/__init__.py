"""Reading images lazily; writing arrays, records, tables and the output folder."""
