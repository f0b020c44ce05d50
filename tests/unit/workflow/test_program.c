#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "programs.h"
#include "workflow/program_compile.h"
#include "workflow/program_eval.h"
#include "json/json.h"

static bool knows_letter(void *arg, const char *slug)
{
    (void)arg;
    return strcmp(slug, "write-letter") == 0;
}

static const char *const contract_example =
    "{ 'inputs': { 'type': 'object', 'required': ['email'], 'properties': { 'email': { 'type': 'string' } } "
    "},"
    "  'steps': ["
    "    { 'name': 'look-up', 'type': 'http', 'request': { 'method': 'GET', 'url': "
    "'https://example.com/u/${/inputs/email}' },"
    "      'timeout_seconds': 30, 'retry': { 'max_attempts': 3, 'backoff_seconds': 2 } },"
    "    { 'name': 'greet', 'type': 'skill', 'slug': 'write-letter', 'if': { '==': [ "
    "'${/steps/look-up/result/status}', 200 ] },"
    "      'inputs': { 'name': '${/steps/look-up/result/body/name}' } } ],"
    "  'outputs': { 'letter': '${/steps/greet/result/outputs/text}' }, 'timeout_seconds': 600 }";

Test(program, compiles_the_example_of_the_contract)
{
    void *ctx = talloc_new(NULL);
    struct program *p = compile_program(ctx, contract_example);
    cr_assert_eq(p->step_count, 2);
    cr_expect_eq(p->timeout_ms, 600000);
    cr_expect_eq(p->credits_micro, 0);
    const struct program_step *s = &p->steps[0];
    cr_expect_str_eq(s->name, "look-up");
    cr_expect_str_eq(s->type_name, "http");
    cr_expect_str_eq(s->method, "GET");
    cr_expect_eq(s->timeout_ms, 30000);
    cr_expect_eq(s->max_attempts, 3);
    cr_expect_eq(s->backoff_ms, 2000);
    cr_expect(program_status_expected(s, 200) && program_status_expected(s, 299));
    cr_expect_not(program_status_expected(s, 199) || program_status_expected(s, 300));
    s = &p->steps[1];
    cr_expect_eq(s->type, STEP_TYPE_SKILL);
    cr_expect_str_eq(s->slug, "write-letter");
    cr_expect_not_null(s->condition);
    cr_expect_not(s->condition_per_item);
    cr_expect_eq(s->max_attempts, 1);
    cr_expect_eq(s->backoff_ms, 1000);
    cr_expect_eq(s->timeout_ms, 0);
    cr_expect_eq(s->concurrency, 1);
    cr_expect_not(s->continue_on_error);
    talloc_free(ctx);
}

Test(program, inputs_are_a_compiled_schema)
{
    void *ctx = talloc_new(NULL);
    struct program *p = compile_program(ctx, contract_example);
    struct schema_problems problems;
    cr_assert_not_null(p->inputs);
    cr_expect_eq(schema_validate(ctx, p->inputs, parse_json(ctx, "{'email':'a@b'}"), NULL), OK);
    cr_expect_eq(schema_validate(ctx, p->inputs, parse_json(ctx, "{'email':1}"), &problems), ERR_INVALID);
    cr_expect_str_eq(problems.items[0].pointer, "/email");
    cr_expect_null(compile_program(ctx, "{'steps':[{'name':'a','type':'transform','value':1}]}")->inputs);
    talloc_free(ctx);
}

/* A step that is valid except for `fields`, after a step named `one`. */
#define STEP(fields) "{'steps':[{'name':'one','type':'transform','value':1},{'name':'two'," fields "}]}"
#define TRANSFORM(fields) STEP("'type':'transform','value':1," fields)
#define HTTP(fields) STEP("'type':'http','request':{'method':'GET','url':'http://h/'}," fields)
#define REQUEST(fields) STEP("'type':'http','request':{" fields "}")

Test(program, accepts_valid_programs)
{
    static const char *const rows[] = {
        "{'steps':[{'name':'a','type':'transform','value':null}]}",
        "{'inputs':true,'steps':[{'name':'a','type':'transform','value':1}],'outputs':null}",
        "{'steps':[{'name':'a','type':'transform','value':1}],'timeout_seconds':1,'credits':0}",
        "{'steps':[{'name':'a','type':'transform','value':1}],'timeout_seconds':86400,'credits':0.000001}",
        "{'steps':[{'name':'a','type':'transform','value':1}],'outputs':['${/steps/a}','${/steps}','${/"
        "execution}']}",
        "{'steps':[{'name':'-_9zA','type':'fail','message':'no ${/inputs/x}'}]}",
        TRANSFORM("'if':true"),
        TRANSFORM("'if':'${/steps/one/result/x}'"),
        TRANSFORM("'for_each':[]"),
        TRANSFORM("'for_each':[1,'${/inputs/a}',{'b':'${/steps/one/result}'}],'concurrency':64"),
        TRANSFORM("'for_each':'${/inputs/list}','if':{'==':['${/item/kind}',1]}"),
        TRANSFORM("'retry':{}"),
        TRANSFORM("'retry':{'max_attempts':10,'backoff_seconds':0}"),
        TRANSFORM("'retry':{'max_attempts':1.0,'backoff_seconds':3600}"),
        TRANSFORM("'timeout_seconds':0.001"),
        TRANSFORM("'on_error':'continue'"),
        TRANSFORM("'on_error':'stop'"),
        STEP("'type':'transform','for_each':[1],'value':{'i':'${/index}','v':'${/item/deep/er}'}"),
        STEP("'type':'transform','value':['${/execution/id}','${/execution/metadata/x}','${/steps/one/"
             "error}']"),
        STEP("'type':'delay','seconds':0"),
        STEP("'type':'delay','seconds':86400"),
        STEP("'type':'delay','seconds':0.25"),
        STEP("'type':'delay','seconds':'${/inputs/wait}'"),
        STEP("'type':'wait','signal':'a','timeout_seconds':31622400"),
        STEP("'type':'wait','signal':'a-${/inputs/n}','timeout_seconds':1,'message':'${/inputs/"
             "m}?','schema':{'type':'object'}"),
        STEP("'type':'workflow','workflow_id':'0190ABCD-0000-7000-8000-000000000001'"),
        STEP("'type':'workflow','workflow_id':'0190abcd-0000-7000-8000-000000000001','inputs':{'a':'${/steps/"
             "one/"
             "result}'}"),
        STEP("'type':'workflow','workflow_id':'0190abcd-0000-7000-8000-000000000001','inputs':'${/inputs}'"),
        STEP("'type':'skill','slug':'s','inputs':{},'model':'${/inputs/m}','file_source_ids':['a','${/inputs/"
             "f}']"),
        STEP("'type':'skill','slug':'s','file_source_ids':'${/inputs/files}'"),
        HTTP("'expect_status':404"),
        HTTP("'expect_status':'200-299'"),
        HTTP("'expect_status':[200,'400-499',500]"),
        REQUEST("'method':'POST','url':'https://h/${/inputs/a}?k=${/secrets/"
                "K}','headers':{'Authorization':'Bearer "
                "${/secrets/K}','X-N':3},'query':{'a':1,'b':['x',null],'c':null,'d':'${/secrets/"
                "K}'},'body':{'k':'${/"
                "secrets/K}'}"),
        REQUEST("'method':'OPTIONS','url':'HTTP://h','body':null"),
        REQUEST("'method':'GET','url':'http://h/','headers':{},'query':{},'body':null"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *ctx = talloc_new(NULL);
        compile_program(ctx, rows[i]);
        talloc_free(ctx);
    }
}

struct refusal {
    const char *text, *pointer, *why;
};

static void check_refusal(const struct refusal *row)
{
    void *ctx = talloc_new(NULL);
    struct program_hooks hooks = {.skill_exists = knows_letter};
    struct json_problems *problems = json_problems_new(ctx);
    struct program *program;
    cr_expect_eq(program_compile(ctx, parse_json(ctx, row->text), &hooks, &program, problems), ERR_INVALID,
                 "%s", row->text);
    cr_expect_null(program);
    cr_expect_eq(problems->count, 1, "%s: %zu problems", row->text, problems->count);
    if (problems->count) {
        cr_expect_str_eq(problems->list[0].pointer, row->pointer, "%s", row->text);
        cr_expect(strstr(problems->list[0].message, row->why), "%s: %s", row->text,
                  problems->list[0].message);
    }
    talloc_free(ctx);
}

Test(program, rejects_errors_outside_steps)
{
#define ONE "'steps':[{'name':'a','type':'transform','value':1}]"
    static const struct refusal rows[] = {
        {"null", "", "must be an object"},
        {"[]", "", "must be an object"},
        {"{}", "", "steps is missing"},
        {"{'steps':null}", "/steps", "1 to 200"},
        {"{'steps':{}}", "/steps", "1 to 200"},
        {"{'steps':[]}", "/steps", "1 to 200"},
        {"{" ONE ",'step':1}", "/step", "unknown field"},
        {"{" ONE ",'a~/b':1}", "/a~0~1b", "unknown field"},
        {"{" ONE ",'inputs':null}", "/inputs", ""},
        {"{" ONE ",'inputs':[]}", "/inputs", ""},
        {"{" ONE ",'inputs':{'type':'strin'}}", "/inputs/type", ""},
        {"{" ONE ",'inputs':{'properties':{'a':{'$ref':'#/$defs/none'}}}}", "/inputs/properties/a/$ref", ""},
        {"{" ONE ",'inputs':{'properties':{'a':{'pattern':'('}}}}", "/inputs/properties/a/pattern", ""},
        {"{" ONE ",'timeout_seconds':0}", "/timeout_seconds", "from 1 to 86400"},
        {"{" ONE ",'timeout_seconds':0.5}", "/timeout_seconds", "from 1 to 86400"},
        {"{" ONE ",'timeout_seconds':86400.001}", "/timeout_seconds", "from 1 to 86400"},
        {"{" ONE ",'timeout_seconds':'600'}", "/timeout_seconds", "from 1 to 86400"},
        {"{" ONE ",'timeout_seconds':null}", "/timeout_seconds", "from 1 to 86400"},
        {"{" ONE ",'credits':-0.000001}", "/credits", "at most 6 decimals"},
        {"{" ONE ",'credits':0.0000001}", "/credits", "at most 6 decimals"},
        {"{" ONE ",'credits':999999.1234567}", "/credits", "at most 6 decimals"},
        {"{" ONE ",'credits':1000000.000001}", "/credits", "from 0 to 1000000"},
        {"{" ONE ",'credits':1e300}", "/credits", "from 0"},
        {"{" ONE ",'credits':'1'}", "/credits", "from 0"},
        {"{" ONE ",'credits':true}", "/credits", "from 0"},
        {"{" ONE ",'outputs':'${/steps/b/result}'}", "/outputs", "unknown step \"b\""},
        {"{" ONE ",'outputs':{'x':['${/item}']}}", "/outputs/x/0", "for_each"},
        {"{" ONE ",'outputs':{'x':'${/secrets/K}'}}", "/outputs/x", "request of an http step"},
        {"{" ONE ",'outputs':{'x':'${/steps/a/results}'}}", "/outputs/x", "result, status and error"},
        {"{'steps':[1]}", "/steps/0", "a step must be an object"},
        {"{'steps':[{'name':'a'}]}", "/steps/0", "type is missing"},
        {"{'steps':[{'type':'transform','value':1}]}", "/steps/0", "name is missing"},
        {"{'steps':[{'name':'','type':'transform','value':1}]}", "/steps/0/name",
         "must be a non-empty string"},
        {"{'steps':[{'name':1,'type':'transform','value':1}]}", "/steps/0/name",
         "must be a non-empty string"},
        {"{'steps':[{'name':'a b','type':'transform','value':1}]}", "/steps/0/name", "letters"},
        {"{'steps':[{'name':'\xc3\xa4','type':'transform','value':1}]}", "/steps/0/name", "letters"},
        {"{'steps':[{'name':'a/b','type':'transform','value':1}]}", "/steps/0/name", "letters"},
        {"{'steps':[{'name':'a\\u0000b','type':'transform','value':1}]}", "/steps/0/name",
         "must be a non-empty string"},
        {"{'steps':[{'name':'a','type':'transform\\u0000','value':1}]}", "/steps/0/type", ""},
        {"{'steps':[{'name':'a','type':'transform','value':1,'on_error':'stop\\u0000x'}]}",
         "/steps/0/on_error", ""},
        {"{'steps':[{'name':'a','type':'transform','value':1,'on_error':'continue\\u0000'}]}",
         "/steps/0/on_error", ""},
        {"{'steps':[{'name':'0123456789012345678901234567890123456789012345678901234567890123a','type':'"
         "transform',"
         "'value':1}]}",
         "/steps/0/name", "1 to 64"},
        {"{'steps':[{'name':'a','type':'transform','value':1},{'name':'a','type':'transform','value':2}]}",
         "/steps/1/name", "/steps/0 already has this name"},
        {"{'steps':[{'name':'a','type':'transform','value':'${/steps/b/"
         "result}'},{'name':'b','type':'transform',"
         "'value':2}]}",
         "/steps/0/value", "step b is not earlier"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_refusal(&rows[i]);
}

Test(program, rejects_errors_in_a_step)
{
    static const struct refusal rows[] = {
        {TRANSFORM("'x':1"), "/steps/1/x", "unknown field"},
        {TRANSFORM("'request':{}"), "/steps/1/request", "unknown field"},
        {TRANSFORM("'if':null"), "/steps/1/if", "a condition is"},
        {TRANSFORM("'if':{'==':[1]}"), "/steps/1/if/==", "two arguments"},
        {TRANSFORM("'if':{'==':['${/item}',1]}"), "/steps/1/if/==/0", "for_each"},
        {TRANSFORM("'if':'${/steps/two/status}'"), "/steps/1/if", "not earlier"},
        {TRANSFORM("'if':'${/secrets/K}'"), "/steps/1/if", "request of an http step"},
        {TRANSFORM("'for_each':null"), "/steps/1/for_each", "array or one reference"},
        {TRANSFORM("'for_each':{}"), "/steps/1/for_each", "array or one reference"},
        {TRANSFORM("'for_each':'a${/inputs/b}'"), "/steps/1/for_each", "array or one reference"},
        {TRANSFORM("'for_each':'${/item}'"), "/steps/1/for_each", "for_each"},
        {TRANSFORM("'for_each':['${/index}']"), "/steps/1/for_each/0", "for_each"},
        {TRANSFORM("'concurrency':2"), "/steps/1/concurrency", "only together with for_each"},
        {TRANSFORM("'for_each':[],'concurrency':0"), "/steps/1/concurrency", "1 to 64"},
        {TRANSFORM("'for_each':[],'concurrency':65"), "/steps/1/concurrency", "1 to 64"},
        {TRANSFORM("'for_each':[],'concurrency':1.5"), "/steps/1/concurrency", "1 to 64"},
        {TRANSFORM("'retry':3"), "/steps/1/retry", "must be an object"},
        {TRANSFORM("'retry':{'attempts':3}"), "/steps/1/retry/attempts", "unknown field"},
        {TRANSFORM("'retry':{'max_attempts':0}"), "/steps/1/retry/max_attempts", "1 to 10"},
        {TRANSFORM("'retry':{'max_attempts':11}"), "/steps/1/retry/max_attempts", "1 to 10"},
        {TRANSFORM("'retry':{'max_attempts':'3'}"), "/steps/1/retry/max_attempts", "1 to 10"},
        {TRANSFORM("'retry':{'backoff_seconds':-1}"), "/steps/1/retry/backoff_seconds", "0 to 3600"},
        {TRANSFORM("'retry':{'backoff_seconds':3601}"), "/steps/1/retry/backoff_seconds", "0 to 3600"},
        {TRANSFORM("'timeout_seconds':0"), "/steps/1/timeout_seconds", "0.001 to 86400"},
        {TRANSFORM("'timeout_seconds':86401"), "/steps/1/timeout_seconds", "0.001 to 86400"},
        {TRANSFORM("'on_error':'ignore'"), "/steps/1/on_error", "\"stop\" or \"continue\""},
        {TRANSFORM("'on_error':null"), "/steps/1/on_error", "\"stop\" or \"continue\""},
        {TRANSFORM("'on_item_error':'continue'"), "/steps/1/on_item_error", "only together with for_each"},
        {TRANSFORM("'for_each':[],'on_item_error':'skip'"), "/steps/1/on_item_error", "\"stop\" or"},
        {TRANSFORM("'for_each':[],'on_item_error':'stop\\u0000'"), "/steps/1/on_item_error", "\"stop\" or"},
        {STEP("'type':'shell'"), "/steps/1/type", "one of http"},
        {STEP("'type':7"), "/steps/1/type", "must be a non-empty string"},
        {STEP("'type':'transform'"), "/steps/1", "value is missing"},
        {STEP("'type':'transform','value':'${/index}'"), "/steps/1/value", "for_each"},
        {STEP("'type':'transform','value':{'a':'${/secrets/K}'}"), "/steps/1/value/a",
         "request of an http step"},
        {STEP("'type':'transform','value':'${/steps/on}'"), "/steps/1/value", "unknown step \"on\""},
        {STEP("'type':'transform','value':'${/steps/}'"), "/steps/1/value", "unknown step \"\""},
        {STEP("'type':'transform','value':'${/steps/one/status/x}'"), "/steps/1/value", "have no members"},
        {STEP("'type':'transform','value':'${/execution/failure}'"), "/steps/1/value", "steps of on_failure"},
        {STEP("'type':'transform','value':'${/execution/ids}'"), "/steps/1/value",
         "the execution has only the members"},
        {STEP("'type':'wait','timeout_seconds':1"), "/steps/1", "signal is missing"},
        {STEP("'type':'wait','signal':'a'"), "/steps/1/timeout_seconds", "is required"},
        {STEP("'type':'wait','signal':'a','timeout_seconds':31622401"), "/steps/1/timeout_seconds",
         "31622400"},
        {STEP("'type':'wait','signal':'a b','timeout_seconds':1"), "/steps/1/signal", "letters, digits"},
        {STEP("'type':'wait','signal':'a','timeout_seconds':1,'retry':{}"), "/steps/1/retry", "not allowed"},
        {STEP("'type':'wait','signal':'a','timeout_seconds':1,'schema':{'type':1}"), "/steps/1/schema/type",
         "must"},
        {STEP("'type':'delay'"), "/steps/1", "seconds is missing"},
        {STEP("'type':'delay','seconds':-0.1"), "/steps/1/seconds", "0 to 86400"},
        {STEP("'type':'delay','seconds':86401"), "/steps/1/seconds", "0 to 86400"},
        {STEP("'type':'delay','seconds':null"), "/steps/1/seconds", "0 to 86400"},
        {STEP("'type':'delay','seconds':'5'"), "/steps/1/seconds", "one reference"},
        {STEP("'type':'fail'"), "/steps/1", "message is missing"},
        {STEP("'type':'fail','message':''"), "/steps/1/message", "must be a non-empty string"},
        {STEP("'type':'fail','message':{}"), "/steps/1/message", "must be a non-empty string"},
        {STEP("'type':'workflow'"), "/steps/1", "workflow_id is missing"},
        {STEP("'type':'workflow','workflow_id':'x'"), "/steps/1/workflow_id", "the id of a workflow"},
        {STEP("'type':'workflow','workflow_id':'${/inputs/w}'"), "/steps/1/workflow_id",
         "references are not allowed"},
        {STEP("'type':'workflow','workflow_id':'0190abcd-0000-7000-8000-000000000001','inputs':[]"),
         "/steps/1/inputs", "object or one reference"},
        {STEP("'type':'workflow','workflow_id':'0190abcd-0000-7000-8000-000000000001','slug':'x'"),
         "/steps/1/slug", "unknown field"},
        {STEP("'type':'skill'"), "/steps/1", "slug is missing"},
        {STEP("'type':'skill','slug':'none'"), "/steps/1/slug", "no skill none"},
        {STEP("'type':'skill','slug':'${/inputs/s}'"), "/steps/1/slug", "references are not allowed"},
        {STEP("'type':'skill','slug':'write-letter','model':''"), "/steps/1/model",
         "must be a non-empty string"},
        {STEP("'type':'skill','slug':'write-letter','file_source_ids':{}"), "/steps/1/file_source_ids",
         "array or one reference"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_refusal(&rows[i]);
}

Test(program, rejects_errors_in_a_request)
{
#define URL "'url':'http://h/'"
#define GET "'method':'GET'," URL
    static const struct refusal rows[] = {
        {STEP("'type':'http'"), "/steps/1", "request is missing"},
        {STEP("'type':'http','request':'GET http://h/'"), "/steps/1/request", "must be an object"},
        {REQUEST(URL), "/steps/1/request", "method is missing"},
        {REQUEST("'method':'GET'"), "/steps/1/request", "url is missing"},
        {REQUEST("'method':'get'," URL), "/steps/1/request/method", "one of GET"},
        {REQUEST("'method':'CONNECT'," URL), "/steps/1/request/method", "one of GET"},
        {REQUEST("'method':'GET','url':'h'"), "/steps/1/request/url", "http://"},
        {REQUEST("'method':'GET','url':null"), "/steps/1/request/url", "must be a text"},
        {REQUEST("'method':'GET','url':'${/inputs/url}'"), "/steps/1/request/url", "not with a reference"},
        {REQUEST("'method':'GET','url':'http://${/inputs/host}/'"), "/steps/1/request/url", "host or port"},
        {REQUEST(GET ",'timeout':1"), "/steps/1/request/timeout", "unknown field"},
        {REQUEST(GET ",'headers':[]"), "/steps/1/request/headers", "must be an object"},
        {REQUEST(GET ",'headers':{'a b':'x'}"), "/steps/1/request/headers/a b", "not a valid header name"},
        {REQUEST(GET ",'headers':{'':'x'}"), "/steps/1/request/headers/", "not a valid header name"},
        {REQUEST(GET ",'headers':{'a:':'x'}"), "/steps/1/request/headers/a:", "not a valid header name"},
        {REQUEST(GET ",'headers':{'Host':'x'}"), "/steps/1/request/headers/Host", "set by Millrace"},
        {REQUEST(GET ",'headers':{'Content-Length':3}"), "/steps/1/request/headers/Content-Length", "set by"},
        {REQUEST(GET ",'headers':{'Transfer-encoding':'x'}"), "/steps/1/request/headers/Transfer-encoding",
         "set by"},
        {REQUEST(GET ",'headers':{'A':'x','a':'y'}"), "/steps/1/request/headers/a", "duplicate"},
        {REQUEST(GET ",'headers':{'A':null}"), "/steps/1/request/headers/A", "must be a text"},
        {REQUEST(GET ",'headers':{'A':['x']}"), "/steps/1/request/headers/A", "must be a text"},
        {REQUEST(GET ",'headers':{'A':'x\\ny'}"), "/steps/1/request/headers/A", "CR, LF"},
        {REQUEST(GET ",'headers':{'A':'x\\u0000y'}"), "/steps/1/request/headers/A", "NUL"},
        {REQUEST("'method':'GET\\u0000','url':'http://a/'"), "/steps/1/request/method", ""},
        {REQUEST("'method':'GET','url':'http://a/\\u0000b'"), "/steps/1/request/url", ""},
        {REQUEST("'method':'GET','url':'http://a\\u0000b/'"), "/steps/1/request/url", ""},
        {REQUEST(GET ",'query':'a=b'"), "/steps/1/request/query", "must be an object"},
        {REQUEST(GET ",'query':{'a/b':{}}"), "/steps/1/request/query/a~1b", "array of these"},
        {REQUEST(GET ",'body':1"), "/steps/1/request/body", "a GET request has no body"},
        {REQUEST("'method':'POST'," URL ",'body':['${/steps/three}']"), "/steps/1/request/body/0",
         "unknown step"},
        {HTTP("'expect_status':99"), "/steps/1/expect_status", "100 to 599"},
        {HTTP("'expect_status':600"), "/steps/1/expect_status", "100 to 599"},
        {HTTP("'expect_status':4294967496"), "/steps/1/expect_status", "100 to 599"},
        {HTTP("'expect_status':[]"), "/steps/1/expect_status", "100 to 599"},
        {HTTP("'expect_status':null"), "/steps/1/expect_status", "100 to 599"},
        {HTTP("'expect_status':'2xx'"), "/steps/1/expect_status", "100 to 599"},
        {HTTP("'expect_status':'299-200'"), "/steps/1/expect_status", "100 to 599"},
        {HTTP("'expect_status':'200-2999'"), "/steps/1/expect_status", "100 to 599"},
        {HTTP("'expect_status':[200,[201]]"), "/steps/1/expect_status", "100 to 599"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_refusal(&rows[i]);
}

Test(program, reports_all_problems_at_once)
{
    void *ctx = talloc_new(NULL);
    struct json_problems *problems = json_problems_new(ctx);
    struct program *program;
    const char *text =
        "{'x':1,'steps':[{},{'name':'b','type':'http','request':{'method':'X','url':'y'},'if':1},"
        "{'name':'c','type':'transform','value':['${/steps/b/result}','${/steps/d}']}],'credits':-1}";
    cr_assert_eq(program_compile(ctx, parse_json(ctx, text), NULL, &program, problems), ERR_INVALID);
    static const char *const pointers[] = {"/x",
                                           "/steps/0",
                                           "/steps/0",
                                           "/steps/1/if",
                                           "/steps/1/request/method",
                                           "/steps/1/request/url",
                                           "/steps/2/value/1",
                                           "/credits"};
    cr_assert_eq(problems->count, sizeof pointers / sizeof *pointers);
    for (size_t i = 0; i < problems->count; i++)
        cr_expect_str_eq(problems->list[i].pointer, pointers[i], "%s", problems->list[i].message);
    talloc_free(ctx);
}

static char *steps_of(void *ctx, int n)
{
    char *text = talloc_strdup(ctx, "{'steps':[");
    for (int i = 0; i < n; i++)
        text = talloc_asprintf_append_buffer(text, "%s{'name':'s%d','type':'transform','value':1}",
                                             i ? "," : "", i);
    return talloc_strdup_append_buffer(text, "]}");
}

Test(program, allows_at_most_200_steps)
{
    void *ctx = talloc_new(NULL);
    cr_expect_eq(compile_program(ctx, steps_of(ctx, 200))->step_count, 200);
    struct json_problems *problems = json_problems_new(ctx);
    struct program *program;
    cr_expect_eq(program_compile(ctx, parse_json(ctx, steps_of(ctx, 201)), NULL, &program, problems),
                 ERR_INVALID);
    cr_expect_str_eq(problems->list[0].pointer, "/steps");
    talloc_free(ctx);
}

Test(program, numbers_are_exact)
{
    static const struct {
        const char *credits;
        int64_t micro;
    } rows[] = {{"0", 0},
                {"1", 1000000},
                {"0.1", 100000},
                {"0.000001", 1},
                {"2.500000", 2500000},
                {"1e-6", 1},
                {"12.345678", 12345678},
                {"999999.999999", 999999999999},
                {"1000000", 1000000000000}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *ctx = talloc_new(NULL);
        char *text = talloc_asprintf(ctx, "{" ONE ",'credits':%s,'timeout_seconds':1.0001}", rows[i].credits);
        struct program *p = compile_program(ctx, text);
        cr_expect_eq(p->credits_micro, rows[i].micro, "%s", rows[i].credits);
        cr_expect_eq(p->timeout_ms, 1001);
        talloc_free(ctx);
    }
}

/* --- calls between workflows --- */

#define ID(n) "0190abcd-0000-7000-8000-00000000000" #n

static const char *const edges[][3] = {{ID(1), ID(2)}, {ID(2), ID(3)}, {ID(2), ID(4)}, {ID(4), ID(0)},
                                       {ID(5), ID(6)}, {ID(6), ID(5)}, {ID(7), ID(9)}};

static enum err list_calls(void *arg, void *ctx, const char *const *ids, size_t n,
                           struct program_call **calls_r, size_t *count_r)
{
    int *asked = arg;
    (*asked)++;
    *calls_r = talloc_zero_array(ctx, struct program_call, n * 8);
    *count_r = 0;
    for (size_t k = 0; k < n; k++) {
        if (strcmp(ids[k], ID(8)) == 0)
            return ERR_UNAVAILABLE;
        if (strcmp(ids[k], ID(9)) == 0)
            continue;
        (*calls_r)[(*count_r)++] = (struct program_call){ids[k], NULL};
        for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
            if (strcmp(edges[i][0], ids[k]) == 0)
                (*calls_r)[(*count_r)++] = (struct program_call){ids[k], edges[i][1]};
        }
    }
    return OK;
}

Test(program, detects_cycles)
{
    static const struct {
        const char *child, *own;
        enum err e;
        const char *why; /* NULL: no problem */
    } rows[] = {
        {ID(1), ID(0), OK, "calls this workflow"}, /* 1 → 2 → 4 → 0 */
        {ID(0), ID(0), OK, "calls this workflow"},
        {ID(4), ID(0), OK, "calls this workflow"},
        {ID(3), ID(0), OK, NULL},
        {ID(5), ID(0), OK, NULL}, /* a loop between other workflows ends the walk, too */
        {ID(1), NULL, OK, NULL},
        {ID(9), ID(0), OK, "there is no workflow"},
        {ID(9), NULL, OK, "there is no workflow"},
        {ID(7), ID(0), OK, NULL}, /* its child does not exist: not a problem of this program */
        {ID(8), ID(0), ERR_UNAVAILABLE, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *ctx = talloc_new(NULL);
        int asked = 0;
        struct program_graph graph = {.calls = list_calls, .arg = &asked};
        char *text = talloc_asprintf(ctx, STEP("'type':'workflow','workflow_id':'%s'"), rows[i].child);
        struct json_problems *problems = json_problems_new(ctx);
        cr_expect_eq(program_find_loop(ctx, compile_program(ctx, text), rows[i].own, &graph, problems),
                     rows[i].e, "%zu", i);
        cr_expect_eq(problems->count, rows[i].why ? 1 : 0, "%zu", i);
        cr_expect_leq(asked, 5);
        if (rows[i].why && problems->count) {
            cr_expect_str_eq(problems->list[0].pointer, "/steps/1/workflow_id");
            cr_expect(strstr(problems->list[0].message, rows[i].why), "%s", problems->list[0].message);
        }
        talloc_free(ctx);
    }
}

/* A chain of `n` workflows, numbered in hexadecimal from 1; the last one calls `last`. */
struct chain {
    int n, asked;
    const char *last;
};

static enum err list_chain(void *arg, void *ctx, const char *const *ids, size_t n,
                           struct program_call **calls_r, size_t *count_r)
{
    struct chain *chain = arg;
    chain->asked++;
    *calls_r = talloc_array(ctx, struct program_call, n);
    for (size_t i = 0; i < n; i++) {
        int number = (int)strtol(ids[i] + 24, NULL, 16);
        (*calls_r)[i] = (struct program_call){
            ids[i], number < chain->n ? talloc_asprintf(ctx, "0190abcd-0000-7000-8000-%012x", number + 1)
                                      : chain->last};
    }
    *count_r = n;
    return OK;
}

Test(program, long_chains_are_walked_once)
{
    static const struct {
        int n;
        const char *last, *why;
    } rows[] = {
        {1000, NULL, NULL},
        {1000, ID(0), "calls this workflow"},
        {PROGRAM_CALLS_MAX, NULL, NULL},
        {PROGRAM_CALLS_MAX, ID(0), "more than 10000 calls"},
        {PROGRAM_CALLS_MAX + 1, NULL, NULL},
        {PROGRAM_CALLS_MAX + 2, NULL, "more than 10000 calls"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *ctx = talloc_new(NULL);
        struct chain chain = {.n = rows[i].n, .last = rows[i].last};
        struct program_graph graph = {.calls = list_chain, .arg = &chain};
        char *text = talloc_strdup(ctx, "{'steps':[");
        for (int k = 0; k < PROGRAM_STEPS_MAX; k++)
            text = talloc_asprintf_append(
                text, "%s{'name':'s%d','type':'workflow','workflow_id':'" ID(1) "'}", k ? "," : "", k);
        text = talloc_asprintf_append(text, "]}");
        struct json_problems *problems = json_problems_new(ctx);
        cr_expect_eq(program_find_loop(ctx, compile_program(ctx, text), ID(0), &graph, problems), OK);
        cr_expect_leq(chain.asked, PROGRAM_CALLS_MAX + 2, "%zu", i);
        cr_expect_eq(problems->total > 0, rows[i].why != NULL, "%zu", i);
        if (rows[i].why && problems->count)
            cr_expect(strstr(problems->list[0].message, rows[i].why), "%s", problems->list[0].message);
        talloc_free(ctx);
    }
}

Test(program, children_are_listed_once)
{
    void *ctx = talloc_new(NULL);
    size_t n;
    const char **ids = program_child_workflows(
        ctx,
        parse_json(ctx,
                   "{'steps':[1,{'type':'workflow','workflow_id':'0190ABCD-0000-7000-8000-000000000001'},"
                   "{'type':'workflow','workflow_id':'" ID(
                       1) "'},{'type':'workflow','workflow_id':'x'},"
                          "{'type':'skill','workflow_id':'" ID(2) "'},{'type':'workflow','workflow_id':'" ID(
                              3) "'}]}"),
        &n);
    cr_assert_eq(n, 2);
    cr_expect_str_eq(ids[0], ID(1));
    cr_expect_str_eq(ids[1], ID(3));
    program_child_workflows(ctx, parse_json(ctx, "[]"), &n);
    cr_expect_eq(n, 0);
    talloc_free(ctx);
}
