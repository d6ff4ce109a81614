"""The parts of the load generator; `locustfile.py` puts them together.

profile      what the load looks like, read from a JSON file and checked
tweets       weather tweets drawn from a profile
budget       who may still send: exactly N requests over all users and processes
answers      which answers count as accepted, and what to call the others
tally        what was answered, how fast
run          one test, from its start to its summary, in one process or in many
"""
