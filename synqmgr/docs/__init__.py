"""The API docs: the schema as a file, Swagger UI, Redoc and a page for every kind of problem."""
