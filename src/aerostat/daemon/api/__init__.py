"""The local API: HTTP and JSON on a unix socket, whose peers the kernel names.

`routes` is the table from which `server`, `handlers` and `description` (OpenAPI) come; `answers`
are the types of what goes out, `peers` who may change things; `client` is the other end.
"""
