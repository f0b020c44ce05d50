#include <string.h>

#include "mariadb/db.h"

struct db_value db_number(int64_t number)
{
    return (struct db_value){.kind = DB_NUMBER, .number = number};
}

struct db_value db_bytes(const void *bytes, size_t size)
{
    return (struct db_value){.kind = DB_TEXT, .text = bytes, .size = size};
}

struct db_value db_null(void)
{
    return (struct db_value){.kind = DB_NULL};
}

struct db_value db_text(const char *text)
{
    return text ? db_bytes(text, strlen(text)) : db_null();
}

struct db_value db_id(const id *i)
{
    return id_is_set(i) ? db_bytes(i->text, ID_LENGTH) : db_null();
}

struct db_value db_number_or_null(int64_t number, bool is_set)
{
    return is_set ? db_number(number) : db_null();
}

const struct db_cell *db_cell(const struct db_rows *rows, size_t row, size_t column)
{
    return &rows->cells[row * rows->columns + column];
}

int64_t db_int(const struct db_rows *rows, size_t row, size_t column)
{
    return db_cell(rows, row, column)->number;
}

int64_t db_int_or(const struct db_rows *rows, size_t row, size_t column, int64_t absent)
{
    const struct db_cell *cell = db_cell(rows, row, column);
    return cell->is_null ? absent : cell->number;
}

const char *db_str(const struct db_rows *rows, size_t row, size_t column)
{
    return db_cell(rows, row, column)->text;
}

id db_get_id(const struct db_rows *rows, size_t row, size_t column)
{
    const struct db_cell *c = db_cell(rows, row, column);
    id i = {{0}};
    if (!c->is_null)
        (void)id_parse(c->text, c->size, &i);
    return i;
}
