"""The API's addresses, one module for each word."""
