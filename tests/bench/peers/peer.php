<?php
/* The service that people make by hand, with PHP-FPM: a script accepts, a list of Redis carries, MariaDB keeps. Started by run.py: PHP-FPM
 * serves requests with this file, and
 *
 *   php peer.php PROCESSES
 *
 * executes runs. It keeps the promises that the comparison is about and nothing else: an acknowledged run is committed and paid for, its
 * result and events are committed, and a run that a killed worker had taken is still in that worker's list. It has no idempotency keys,
 * limits, stop, streams, or retries. Connections are persistent. A request looks its key and workflow up in one SELECT, because the
 * processes of PHP-FPM share no memory. */

const QUEUE = 'peer:runs';

function database(): PDO
{
    return new PDO('mysql:unix_socket=' . getenv('PEER_DB') . ';dbname=peer', getenv('PEER_DB_USER'), '', [
        PDO::ATTR_PERSISTENT => true, PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::MYSQL_ATTR_MULTI_STATEMENTS => true,
    ]);
}

function redis(float $timeout): Redis
{
    $redis = new Redis();
    $redis->pconnect(getenv('PEER_REDIS'), 0, $timeout, 'peer');
    $redis->select(5);
    return $redis;
}

/* UUIDs that grow with time, as the rows of the primary keys should */
function new_id(): string
{
    $h = sprintf('%012x', (int) (microtime(true) * 1000)) . bin2hex(random_bytes(10));
    $h[12] = '7';
    $h[16] = dechex(hexdec($h[16]) & 3 | 8);
    return vsprintf('%s-%s-%s-%s-%s', [substr($h, 0, 8), substr($h, 8, 4), substr($h, 12, 4), substr($h, 16, 4), substr($h, 20)]);
}

/* A transaction in two round trips: its statements are sent together, then the commit, if the last one changed one row. */
function transaction(PDO $db, string $statements): bool
{
    try {
        $result = $db->query('START TRANSACTION; ' . $statements);
        do {
            $changed = $result->rowCount();
        } while ($result->nextRowset());
        $result->closeCursor();
        $db->exec($changed === 1 ? 'COMMIT' : 'ROLLBACK');
        return $changed === 1;
    } catch (PDOException $e) {
        $db->exec('ROLLBACK');
        throw $e;
    }
}

function answer(int $status, array $body): void
{
    http_response_code($status);
    header('Content-Type: application/json');
    echo json_encode($body);
}

function accept(): void
{
    $key = preg_replace('/^Bearer /', '', $_SERVER['HTTP_AUTHORIZATION'] ?? '');
    $workflow = preg_match('#^/api/v1/workflows/([0-9a-f-]{36})/run-async$#', $_SERVER['REQUEST_URI'], $m) ? $m[1] : '';
    $body = json_decode(file_get_contents('php://input'), true);
    if (!is_array($body) || !is_array($body['inputs'] ?? [])) {
        answer(400, ['code' => 'invalid_request']);
        return;
    }
    $db = database();
    $found = $db->prepare('SELECT k.workspace, w.id FROM api_keys k LEFT JOIN workflows w ON w.id = ? AND w.workspace = k.workspace WHERE k.hash = ?');
    $found->execute([$workflow, hash('sha256', $key, true)]);
    $row = $found->fetch(PDO::FETCH_NUM);
    if (!$row || !$row[1]) {
        answer($row ? 404 : 401, ['code' => $row ? 'not_found' : 'unauthorized']);
        return;
    }
    [$id, $workspace, $inputs] = [new_id(), $row[0], json_encode($body['inputs'] ?? (object) [])];
    $text = $db->quote($inputs);
    $ledger = new_id();
    // the account last, so that its lock is held for as short as can be
    $paid = transaction($db,
        "INSERT INTO executions (id, workspace, workflow, state, inputs, created) VALUES ('$id', '$workspace', '$workflow', 1, $text, NOW(3)); "
        . "INSERT INTO ledger VALUES ('$ledger', '$workspace', '$id', -1); "
        . "INSERT INTO events VALUES ('$id', 1, 'execution.queued', NOW(3), NULL); "
        . "UPDATE accounts SET balance = balance - 1 WHERE workspace = '$workspace' AND balance >= 1");
    if (!$paid) {
        answer(402, ['code' => 'insufficient_credits']);
        return;
    }
    redis(1)->lPush(QUEUE, json_encode(['id' => $id, 'workflow' => $workflow, 'inputs' => $inputs]));
    answer(202, ['execution_id' => $id, 'status' => 'queued']);
}

function execute(PDO $db, array &$programs, array $job): void
{
    $workflow = $job['workflow'];
    if (!isset($programs[$workflow])) {
        $found = $db->prepare('SELECT program FROM workflows WHERE id = ?');
        $found->execute([$workflow]);
        $programs[$workflow] = json_decode($found->fetchColumn(), true);
    }
    $values = json_decode($job['inputs'], true);
    $outputs = [];
    foreach ($programs[$workflow]['steps'] as $step) {
        $outputs[$step['name']] = ['n' => $values['n']];
    }
    [$id, $text] = [$job['id'], $db->quote(json_encode($outputs))];
    transaction($db,
        "INSERT IGNORE INTO events VALUES ('$id', 2, 'execution.started', NOW(3), NULL), ('$id', 3, 'step.succeeded', NOW(3), $text), "
        . "('$id', 4, 'execution.succeeded', NOW(3), NULL); "
        . "UPDATE executions SET state = 3, outputs = $text, finished = NOW(3) WHERE id = '$id' AND state = 1");
}

function work(int $index): void
{
    [$db, $redis, $programs, $mine] = [database(), redis(0), [], QUEUE . ":$index"];
    $redis->setOption(Redis::OPT_READ_TIMEOUT, -1);
    for (;;) {
        $text = $redis->brpoplpush(QUEUE, $mine, 1);
        if ($text === false) {
            continue;
        }
        execute($db, $programs, json_decode($text, true));
        $redis->lRem($mine, $text, 1);
    }
}

if (PHP_SAPI !== 'cli') {
    accept();
    exit;
}
$children = [];
for ($i = 0; $i < (int) $argv[1]; $i++) {
    $child = pcntl_fork();
    if ($child === 0) {
        work($i);
    }
    $children[] = $child;
}
$end = function () use (&$children): void {
    foreach ($children as $child) {
        posix_kill($child, SIGTERM);
    }
    exit(0);
};
pcntl_async_signals(true);
pcntl_signal(SIGTERM, $end, false); // so that pcntl_wait ends
pcntl_wait($status); // none of them ends by itself
$end();
