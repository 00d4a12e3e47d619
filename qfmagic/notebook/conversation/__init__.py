"""The notebook's conversations: kept, ordered by the document, exported."""
