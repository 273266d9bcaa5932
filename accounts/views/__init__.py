"""Pages of people and access. Thin: a form, an action, a template."""
