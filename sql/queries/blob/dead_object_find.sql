SELECT object FROM dead_objects WHERE object = ?
