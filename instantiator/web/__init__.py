"""The portal: pages and their data for the browser, served on a unix socket behind the gateway."""
