"""Runs a workflow, prints its events and its output. MILLRACE_URL, MILLRACE_API_KEY and MILLRACE_WORKFLOW_ID name what to use."""
import os

from millrace_client import Client

client = Client(os.environ["MILLRACE_URL"], os.environ["MILLRACE_API_KEY"])
started = client.run(os.environ["MILLRACE_WORKFLOW_ID"], {"reader": "Ada"})
for event in client.events(started["execution_id"]):
    print(event["seq"], event["type"])
execution = client.wait(started["execution_id"])
print(execution["state"], execution["detail"].get("output"))
