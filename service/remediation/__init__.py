"""The durable workflow that carries an incident from open to done."""
