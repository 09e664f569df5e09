"""What Suture believes: the domain types, and the models that reason over them. No I/O."""
