"""What simulations come to, for people: tables, pictures, one page.

Pure but for `files`, which writes. `rows` says what a report is made of.
"""
