"""The store of bytes, as maintenance sees it."""
import os


def blobs_of(stack):
    return stack.dir / "data/files/blobs"


def names(stack):
    """The hashes of the stored bytes, each as often as they are stored."""
    if stack.objects:
        return [key.split("/")[0] for key in stack.objects.keys()]
    return sorted(p.name for p in blobs_of(stack).glob("??/*"))


def ten_minutes_pass(stack, *paths):
    """For the blobs: their marks and the given files are older than that, and maintenance has removed what is dead."""
    for path in paths:
        if path.exists():
            os.utime(path, (1, 1))
    stack.sql("UPDATE blobs SET touched_ms = 1")
    stack.until_upkeep("remove_blobs", lambda: stack.sql_one("SELECT COUNT(*) FROM blobs WHERE dead = 1 AND touched_ms = 1") == "0", 20, "removal of dead blobs")
    if stack.objects:
        stack.sql("UPDATE dead_objects SET touched_ms = 1")
        stack.until_upkeep("remove_objects", lambda: stack.sql_one("SELECT COUNT(*) FROM dead_objects WHERE touched_ms = 1") == "0", 20, "removal of dead objects")
