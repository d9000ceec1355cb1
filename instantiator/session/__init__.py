"""A living GUI of one user: two containers, a workspace, and a record at its end."""
