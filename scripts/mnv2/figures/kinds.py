"""The names of what can be drawn, each a folder; make.py has the functions that draw."""

KINDS = ("bar chart", "barcode", "blank", "box plot", "contour plot", "diagram", "heat map", "histogram", "line chart",
         "pie chart", "QR code", "scatter plot", "table", "text page")
