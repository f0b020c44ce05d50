UPDATE pushes SET paused = ? WHERE name = ?
