"""The REST API, `/api/v1`: what a script on another machine asks of Thaw, and what it is answered."""
