using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Npgsql;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.Bench;

/// <summary>
/// The API with everything on (key, row security, ETag, audit, logs) beside bare endpoints in the same host that run the same SQL through Npgsql and
/// nothing else; and how long starting a text session takes at 100 a second. The host, its database and the client share this machine.
/// </summary>
internal static class ApiBench
{
    private const int Connections = 8;
    private const int SessionsASecond = 100;
    private const int Rounds = 5;

    private const string KeySql =
        $"""
        SELECT k.id, k.tenant_id, k.user_id, k.scopes, k.mode, u.role, k.default_assistant_id, set_config('{UnitOfWork.TenantSetting}', k.tenant_id, false)
        FROM tenant.keys k JOIN tenant.users u ON u.id = k.user_id
        WHERE k.hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2) AND u.deleted_at IS NULL
        """;

    private const string ReadSql =
        """
        SELECT a.id, a.version, a.created_at, a.updated_at, v.document::text FROM assistant.assistants a
        JOIN assistant.versions v ON v.assistant_id = a.id AND v.version = a.version WHERE a.id = $1 AND a.tenant_id = $2 AND a.deleted_at IS NULL
        """;

    public static async Task RunAsync(TimeSpan round, CancellationToken ct)
    {
        await using var host = await InProcessHost.StartAsync(ct, MapBare, ("RATE_LIMIT_PER_KEY", "off"), ("BILLING_SIGNUP_CREDITS", "1000000"));
        var (key, _) = await host.SignUpAsync(ct);
        var assistants = new List<string>();
        for (var i = 0; i < Connections * 2; i++)
        {
            assistants.Add((await host.SendAsync(HttpMethod.Post, "/v1/assistants", key, new { name = $"Bench {i}", prompt = new string('p', 1000), greeting = new { text = "Hello." } }, ct))
                .GetProperty("id").GetString()!);
        }

        await CompareAsync("GET /v1/assistants/{id}", 0.6, host, round,
            assistants.Take(Connections).Select(id => HttpLoad.Request(host.Http.BaseAddress!, "GET", $"/v1/assistants/{id}", key)),
            assistants.Take(Connections).Select(id => HttpLoad.Request(host.Http.BaseAddress!, "GET", $"/bare/{key}/{id}", null)), ct);
        await CompareAsync("PATCH /v1/assistants/{id}", 0.5, host, round,
            assistants.Take(Connections).Select(id => HttpLoad.Request(host.Http.BaseAddress!, "PATCH", $"/v1/assistants/{id}", key, """{"description":"changed"}""")),
            assistants.Skip(Connections).Select(id => HttpLoad.Request(host.Http.BaseAddress!, "PATCH", $"/bare/{key}/{id}", null, """{"description":"changed"}""")), ct);
        await SessionsAsync(host, key, assistants[0], round * Rounds, ct);
    }

    private static async Task CompareAsync(
        string name, double target, InProcessHost host, TimeSpan round, IEnumerable<string> ours, IEnumerable<string> bare, CancellationToken ct)
    {
        var (requests, bareRequests) = (ours.ToList(), bare.ToList());
        await HttpLoad.RunAsync(host.Http.BaseAddress!, requests, round, ct);
        await HttpLoad.RunAsync(host.Http.BaseAddress!, bareRequests, round, ct);
        var (full, plain) = (new Figures(), new Figures());
        for (var i = 0; i < Rounds; i++)
        {
            full.Add(await HttpLoad.RunAsync(host.Http.BaseAddress!, requests, round, ct));
            plain.Add(await HttpLoad.RunAsync(host.Http.BaseAddress!, bareRequests, round, ct));
        }

        var (a, b) = (full.Percentile(0.5), plain.Percentile(0.5));
        Console.WriteLine($"{name,-28} {a,8:0} a second, bare {b,8:0}: {a / b,5:P0}   target: >= {target:P0}   (medians of {Rounds} rounds, {Connections} connections)");
    }

    private static async Task SessionsAsync(InProcessHost host, string key, string assistantId, TimeSpan duration, CancellationToken ct)
    {
        await RunAsync(TimeSpan.FromSeconds(3));
        var figures = await RunAsync(duration);
        Console.WriteLine($"POST /v1/sessions text_only      {SessionsASecond} a second, ms: p50 {figures.Percentile(0.5),6:0.0}   p99 {figures.Percentile(0.99),6:0.0}   max {figures.Percentile(1),6:0.0}   ({figures.Count})   target: p99 <= 25");

        async Task<Figures> RunAsync(TimeSpan time)
        {
            var count = (int)(time.TotalSeconds * SessionsASecond);
            var took = new double[count];
            var clock = Stopwatch.StartNew();
            var running = new List<Task>();
            for (var n = 0; n < count; n++)
            {
                var due = TimeSpan.FromSeconds((double)n / SessionsASecond);
                if (due > clock.Elapsed)
                {
                    await Task.Delay(due - clock.Elapsed, TimeProvider.System, ct);
                }

                running.Add(OneAsync(n));
            }

            await Task.WhenAll(running);
            var all = new Figures();
            Array.ForEach(took, all.Add);
            return all;

            async Task OneAsync(int n)
            {
                var started = Stopwatch.GetTimestamp();
                await host.SendAsync(HttpMethod.Post, "/v1/sessions", key, new { assistant_id = assistantId, text_only = true }, ct);
                took[n] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            }
        }
    }

    /// <summary>The same statements, and nothing around them.</summary>
    private static void MapBare(WebApplication app)
    {
        app.MapGet("/bare/{key}/{id}", async (string key, string id, NpgsqlDataSource source, CancellationToken ct) =>
        {
            await using var connection = await source.OpenConnectionAsync(ct);
            var tenant = await FindKeyAsync(connection, key, ct);
            await using var read = new NpgsqlCommand(ReadSql, connection) { Parameters = { new() { Value = id }, new() { Value = tenant } } };
            await using var row = await read.ExecuteReaderAsync(ct);
            await row.ReadAsync(ct);
            return Results.Text($$"""{"id":"{{row.GetString(0)}}","version":{{row.GetInt32(1)}},"document":{{row.GetString(4)}}}""", "application/json");
        });
        app.MapMethods("/bare/{key}/{id}", ["PATCH"], async (string key, string id, HttpRequest request, NpgsqlDataSource source, CancellationToken ct) =>
        {
            using var body = await JsonDocument.ParseAsync(request.Body, cancellationToken: ct);
            await using var connection = await source.OpenConnectionAsync(ct);
            var tenant = await FindKeyAsync(connection, key, ct);
            await using var transaction = await connection.BeginTransactionAsync(ct);
            int version;
            string document;
            await using (var read = new NpgsqlCommand(ReadSql, connection, transaction) { Parameters = { new() { Value = id }, new() { Value = tenant } } })
            {
                await using var row = await read.ExecuteReaderAsync(ct);
                await row.ReadAsync(ct);
                (version, document) = (row.GetInt32(1), row.GetString(4));
            }

            var now = TimeProvider.System.GetUtcNow();
            await using var write = new NpgsqlBatch(connection, transaction)
            {
                BatchCommands =
                {
                    new("INSERT INTO assistant.versions (assistant_id, version, document, created_at, created_by) VALUES ($1, $2, $3::jsonb, $4, NULL)")
                    {
                        Parameters = { new() { Value = id }, new() { Value = version + 1 }, new() { Value = document }, new() { Value = now } },
                    },
                    new("UPDATE assistant.assistants SET version = $2, updated_at = $3 WHERE id = $1 AND version = $2 - 1")
                    {
                        Parameters = { new() { Value = id }, new() { Value = version + 1 }, new() { Value = now } },
                    },
                    new("INSERT INTO platform.audit (id, tenant_id, at, actor, action, subject_id, detail) VALUES ($1, $2, $3, 'key', 'assistant.updated', $4, '{}')")
                    {
                        Parameters = { new() { Value = Ids.New(Ids.Audit, now) }, new() { Value = tenant }, new() { Value = now }, new() { Value = id } },
                    },
                },
            };
            await write.ExecuteNonQueryAsync(ct);
            await transaction.CommitAsync(ct);
            return Results.Text($$"""{"id":"{{id}}","version":{{version + 1}},"document":{{document}}}""", "application/json");
        });
    }

    private static async Task<string> FindKeyAsync(NpgsqlConnection connection, string key, CancellationToken ct)
    {
        await using var find = new NpgsqlCommand(KeySql, connection)
        {
            Parameters = { new() { Value = System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(key)) }, new() { Value = TimeProvider.System.GetUtcNow() } },
        };
        await using var row = await find.ExecuteReaderAsync(ct);
        await row.ReadAsync(ct);
        return row.GetString(1);
    }
}
