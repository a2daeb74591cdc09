using System.Net;
using System.Net.Http.Headers;
using Npgsql;

namespace VoicePlatform.Tenants.Events;

/// <summary>
/// Sends due deliveries: claimed in batches under a lease, sent outside any transaction, concurrently, in order for each subject.
/// A crash between sending and noting it sends again: receivers know a repeat by webhook-id.
/// </summary>
internal sealed partial class WebhookSender(
    NpgsqlDataSource source,
    IHttpClientFactory clients,
    SecretBox box,
    [FromKeyedServices(typeof(WebhookSender))] WakeUp wakeUp,
    TimeProvider clock,
    ILogger<WebhookSender> log) : BackgroundService
{
    public const string ClientName = "webhooks";

    private const int Concurrency = 64;
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AttemptTimeout = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(60);

    // Waits before the second attempt and so on: about 75 hours in all, as Standard Webhooks advises.
    private static readonly TimeSpan[] Waits =
    [
        TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(30), TimeSpan.FromHours(2),
        TimeSpan.FromHours(6), TimeSpan.FromHours(14), TimeSpan.FromHours(20), TimeSpan.FromHours(32),
    ];

    private readonly HashSet<Task> _sending = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                _sending.RemoveWhere(t => t.IsCompleted);
                var free = Concurrency - _sending.Count;
                var due = free == 0 ? [] : await ClaimAsync(free, stoppingToken);
                foreach (var delivery in due)
                {
                    _sending.Add(SendAsync(delivery, stoppingToken));
                }

                // A receiver that hangs keeps its own place and nobody else's; the next free one wakes the loop.
                if (due.Count < free || free == 0)
                {
                    await wakeUp.WaitAsync(PollInterval, clock, stoppingToken);
                }
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                break;
            }
            catch (Exception e)
            {
                Failed(log, e);
                await Task.Delay(PollInterval, clock, CancellationToken.None);
            }
        }

        await Task.WhenAll(_sending);
    }

    /// <summary>Never fails: what could not be noted is sent again when its lease is over.</summary>
    private async Task SendAsync(Due delivery, CancellationToken ct)
    {
        try
        {
            await AttemptAsync(delivery, ct);
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // Stopping: the lease ends and the next start sends it.
        }
        catch (Exception e)
        {
            Failed(log, e);
        }
        finally
        {
            wakeUp.Wake();
        }
    }

    private async Task<List<Due>> ClaimAsync(int limit, CancellationToken ct)
    {
        // In order for each subject: a delivery waits while an earlier one of its subject is pending at the same webhook. What goes
        // to a URL of its own is signed with the secret of the tenant's webhook at that URL, and not at all where there is none.
        await using var claim = source.CreateCommand(
            """
            UPDATE tenant.deliveries d SET attempts = d.attempts + 1, next_attempt_at = $1 + $2
            FROM (SELECT id FROM tenant.deliveries due WHERE status = 'pending' AND next_attempt_at <= $1
                    AND NOT EXISTS (SELECT FROM tenant.deliveries earlier WHERE earlier.webhook_id = due.webhook_id AND earlier.subject_id = due.subject_id
                                    AND earlier.status = 'pending' AND earlier.sequence < due.sequence)
                  ORDER BY next_attempt_at LIMIT $3 FOR UPDATE SKIP LOCKED) c
            JOIN tenant.deliveries claimed ON claimed.id = c.id
            LEFT JOIN tenant.webhooks w ON w.id = coalesce(claimed.webhook_id, (SELECT h.id FROM tenant.webhooks h
              WHERE h.tenant_id = claimed.tenant_id AND h.url = claimed.url AND h.deleted_at IS NULL AND h.disabled_at IS NULL LIMIT 1))
            WHERE d.id = c.id
            RETURNING d.id, d.event_id, d.attempts, d.body, w.id, coalesce(d.url, w.url), w.secret,
              (d.url IS NULL AND (w.deleted_at IS NOT NULL OR w.disabled_at IS NOT NULL))
            """);
        claim.Parameters.Add(new() { Value = clock.GetUtcNow() });
        claim.Parameters.Add(new() { Value = Lease });
        claim.Parameters.Add(new() { Value = limit });
        var due = new List<Due>();
        await using var row = await claim.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            due.Add(new(
                row.GetString(0), row.GetString(1), row.GetInt32(2), row.GetFieldValue<byte[]>(3), row.GetValue(4) as string, row.GetString(5), row.GetValue(6) as byte[], row.GetBoolean(7)));
        }

        return due;
    }

    private async Task AttemptAsync(Due delivery, CancellationToken ct)
    {
        var startedAt = clock.GetUtcNow();
        var started = clock.GetTimestamp();
        int? status = null;
        string? error = delivery.IsGone ? "The webhook was removed or disabled." : null;
        TimeSpan? retryAfter = null;
        if (error is null)
        {
            using var timeout = new CancellationTokenSource(AttemptTimeout, clock);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, timeout.Token);
            try
            {
                using var request = Request(delivery, startedAt);
                using var response = await clients.CreateClient(ClientName).SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
                status = (int)response.StatusCode;
                retryAfter = response.Headers.RetryAfter?.Delta;
            }
            catch (OperationCanceledException) when (!ct.IsCancellationRequested)
            {
                error = $"No answer within {AttemptTimeout.TotalSeconds:0} s.";
            }
            catch (HttpRequestException e)
            {
                error = e.Message;
            }
        }

        await NoteAsync(delivery, startedAt, clock.GetElapsedTime(started), status, error, retryAfter, ct);
    }

    private HttpRequestMessage Request(Due delivery, DateTimeOffset at)
    {
        var seconds = at.ToUnixTimeSeconds();
        var request = new HttpRequestMessage(HttpMethod.Post, delivery.Url) { Content = new ByteArrayContent(delivery.Body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.TryAddWithoutValidation("user-agent", "VoicePlatform-Webhooks");
        request.Headers.TryAddWithoutValidation(WebhookSignature.IdHeader, delivery.EventId);
        request.Headers.TryAddWithoutValidation(WebhookSignature.TimestampHeader, seconds.ToString("0", null));
        if (delivery is { Secret: { } secret, WebhookId: { } webhookId })
        {
            request.Headers.TryAddWithoutValidation(
                WebhookSignature.SignatureHeader, WebhookSignature.Sign(box.Open(secret, webhookId), delivery.EventId, seconds, delivery.Body));
        }

        return request;
    }

    private async Task NoteAsync(Due delivery, DateTimeOffset startedAt, TimeSpan took, int? status, string? error, TimeSpan? retryAfter, CancellationToken ct)
    {
        var delivered = status is >= 200 and < 300;
        var final = delivered || delivery.IsGone || status is (int)HttpStatusCode.Gone || delivery.Attempt > Waits.Length;
        var wait = final ? TimeSpan.Zero : Waits[delivery.Attempt - 1];

        // Up to a tenth more, so that many deliveries that failed together do not come back together.
        wait += wait * (Random.Shared.NextDouble() / 10);
        if (retryAfter > wait && retryAfter < TimeSpan.FromHours(24))
        {
            wait = retryAfter.Value;
        }

        await using var connection = await source.OpenConnectionAsync(ct);
        await using var note = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                new("INSERT INTO tenant.delivery_attempts (delivery_id, attempt, started_at, duration_ms, status_code, error) VALUES ($1, $2, $3, $4, $5, $6)")
                {
                    Parameters =
                    {
                        new() { Value = delivery.Id }, new() { Value = delivery.Attempt }, new() { Value = startedAt }, new() { Value = (int)took.TotalMilliseconds },
                        new() { Value = (object?)status ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Integer },
                        new() { Value = (object?)error ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text },
                    },
                },
                new("UPDATE tenant.deliveries SET status = $2, completed_at = $3, next_attempt_at = $4 WHERE id = $1")
                {
                    Parameters =
                    {
                        new() { Value = delivery.Id }, new() { Value = delivered ? "delivered" : final ? "failed" : "pending" },
                        new() { Value = final ? clock.GetUtcNow() : DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.TimestampTz },
                        new() { Value = clock.GetUtcNow() + wait },
                    },
                },
            },
        };
        await note.ExecuteNonQueryAsync(ct);
        WebhookMetrics.Attempted(delivered ? "delivered" : final ? "given_up" : "retry", took);
        if (!delivered)
        {
            AttemptFailed(log, delivery.Id, delivery.Attempt, status ?? 0);
        }
    }

    [LoggerMessage(LogLevel.Warning, "Delivery {DeliveryId} failed attempt {Attempt} with status {Status}")]
    private static partial void AttemptFailed(ILogger logger, string deliveryId, int attempt, int status);

    [LoggerMessage(LogLevel.Error, "Sending webhooks failed")]
    private static partial void Failed(ILogger logger, Exception exception);

    private sealed record Due(string Id, string EventId, int Attempt, byte[] Body, string? WebhookId, string Url, byte[]? Secret, bool IsGone);
}
