"""REST of docs/protocol.md section 2: one module per area, one table of routes, one dispatcher."""
