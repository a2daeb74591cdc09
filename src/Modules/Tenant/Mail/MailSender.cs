using System.Net.Mail;
using Dapper;
using Microsoft.Extensions.Options;
using Npgsql;

namespace VoicePlatform.Tenants.Mail;

/// <summary>Sends the mails that were committed, one after the other, and tries each for a day. A crash between sending and noting it sends again.</summary>
internal sealed partial class MailSender(
    NpgsqlDataSource source, SmtpPost post, IOptions<MailOptions> options, [FromKeyedServices(typeof(MailSender))] WakeUp wakeUp, TimeProvider clock, ILogger<MailSender> log)
    : BackgroundLoop(PollInterval, clock, log, wakeUp)
{
    public static readonly TimeSpan GiveUpAfter = TimeSpan.FromDays(1);

    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Lease = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan FirstWait = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);

    protected override async Task WorkAsync(CancellationToken ct)
    {
        while (options.Value.Host is not null && await SendOneAsync(ct))
        {
        }
    }

    /// <returns>Whether there was one.</returns>
    private async Task<bool> SendOneAsync(CancellationToken ct)
    {
        var now = Clock.GetUtcNow();
        await using var connection = await source.OpenConnectionAsync(ct);
        var mail = await connection.QuerySingleOrDefaultAsync<Due>(new(
            """
            UPDATE tenant.mails SET attempts = attempts + 1, next_attempt_at = @Until
            WHERE id = (SELECT id FROM tenant.mails WHERE next_attempt_at <= @Now ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED)
            RETURNING id, recipient, subject, body, created_at, attempts
            """, new { Now = now, Until = now + Lease }, cancellationToken: ct));
        await connection.CloseAsync();
        if (mail is null)
        {
            return false;
        }

        try
        {
            await post.SendAsync(mail.Recipient, mail.Subject, mail.Body, ct);
            await connection.ExecuteAsync(new("DELETE FROM tenant.mails WHERE id = @Id", mail, cancellationToken: ct));
        }
        catch (Exception e) when (e is SmtpException or FormatException or InvalidOperationException)
        {
            var isOver = now - mail.CreatedAt > GiveUpAfter || e is FormatException;
            if (isOver)
            {
                GaveUp(Log, mail.Id, mail.Attempts, e);
                await connection.ExecuteAsync(new("DELETE FROM tenant.mails WHERE id = @Id", mail, cancellationToken: ct));
            }
            else
            {
                AttemptFailed(Log, mail.Id, mail.Attempts, e);
                var wait = FirstWait * Math.Pow(2, Math.Min(mail.Attempts - 1, 20));
                await connection.ExecuteAsync(new(
                    "UPDATE tenant.mails SET next_attempt_at = @At WHERE id = @Id", new { mail.Id, At = now + (wait < LongestWait ? wait : LongestWait) }, cancellationToken: ct));
            }
        }

        return true;
    }

    [LoggerMessage(LogLevel.Warning, "Mail {MailId} failed attempt {Attempt}")]
    private static partial void AttemptFailed(ILogger logger, string mailId, int attempt, Exception exception);

    [LoggerMessage(LogLevel.Error, "Mail {MailId} is given up after {Attempts} attempts")]
    private static partial void GaveUp(ILogger logger, string mailId, int attempts, Exception exception);

    private sealed record Due
    {
        public required string Id { get; init; }
        public required string Recipient { get; init; }
        public required string Subject { get; init; }
        public required string Body { get; init; }
        public DateTimeOffset CreatedAt { get; init; }
        public int Attempts { get; init; }
    }
}
