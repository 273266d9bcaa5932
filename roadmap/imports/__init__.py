"""Roadmaps, milestones, KPIs, readings and cost entries from a spreadsheet. One file for each kind of row.

A row is found again by its key and then changed, not added; what differs in no column is left alone; what is in
Phaseline and not in the file stays. Everything is done by the actions of the plan, with their rules, rights and audit
rows. A new kind of row is a file here and a line in `roadmap.imports.run.KINDS`.
"""
