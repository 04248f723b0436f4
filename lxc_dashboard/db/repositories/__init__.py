"""All queries of the product: one repository for each aggregate, each on the session of one transaction."""
