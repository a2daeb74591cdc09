using Microsoft.Extensions.Options;
using Npgsql;

namespace VoicePlatform.Calls.Dialling;

/// <summary>
/// Takes up what is due, as fast as trunks, tenants and this process allow, and runs each attempt on its own. Any number of hosts may
/// dial: a claim is one row's way out of the queue.
/// </summary>
internal sealed class Dialler(
    NpgsqlDataSource source, DialAttempt attempts, [FromKeyedServices(typeof(Dialler))] WakeUp wakeUp, IOptions<CallOptions> options, TimeProvider clock, ILogger<Dialler> log)
    : BackgroundService
{
    /// <summary>Beyond the ring time-out, what an attempt may take: room, agent, LiveKit's answer. After that its host is dead.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(40);

    private const int Batch = 100;
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(5);

    private readonly HashSet<Task> _dialling = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                _dialling.RemoveWhere(t => t.IsCompleted);
                var free = Math.Min(Batch, options.Value.DialingAtOnce - _dialling.Count);
                var claimed = free == 0 ? [] : await ClaimAsync(free, stoppingToken);
                foreach (var claim in claimed)
                {
                    _dialling.Add(RunAsync(claim));
                }

                CallMetrics.Begun(claimed.Count);
                if (claimed.Count == 0)
                {
                    await wakeUp.WaitAsync(await PauseAsync(stoppingToken), clock, stoppingToken);
                }
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                break;
            }
            catch (Exception e)
            {
                CallLog.ClaimFailed(log, e);
                await Task.Delay(PollInterval, clock, CancellationToken.None);
            }
        }

        // What rings is not let go of: an attempt left behind would count as failed, although somebody may just be answering.
        await Task.WhenAll(_dialling);
    }

    /// <summary>Never fails: what it could not write, the sweeper finds when the lease is over.</summary>
    private async Task RunAsync(Claim claim)
    {
        try
        {
            await attempts.RunAsync(claim);
        }
        catch (Exception e)
        {
            CallLog.AttemptFailed(log, claim.CallId, claim.Attempt, e);
        }
        finally
        {
            wakeUp.Wake();
        }
    }

    private async Task<List<Claim>> ClaimAsync(int limit, CancellationToken ct)
    {
        await using var claim = source.CreateCommand("SELECT call_id, attempt FROM call.claim($1, $2, $3, $4)");
        claim.Parameters.Add(new() { Value = clock.GetUtcNow() });
        claim.Parameters.Add(new() { Value = limit });
        claim.Parameters.Add(new() { Value = options.Value.MaxConcurrentPerTenant });
        claim.Parameters.Add(new() { Value = Lease });
        var claimed = new List<Claim>();
        await using var row = await claim.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            claimed.Add(new(row.GetString(0), row.GetInt32(1)));
        }

        return claimed;
    }

    /// <summary>Until a lane may go on or a call falls due, a second at most.</summary>
    private async Task<TimeSpan> PauseAsync(CancellationToken ct)
    {
        var now = clock.GetUtcNow();
        await using var next = source.CreateCommand(
            """
            SELECT least(
              (SELECT min(l.next_at) FROM call.lanes l WHERE l.next_at > $1 AND EXISTS (SELECT FROM call.queue q WHERE q.trunk_id = l.trunk_id AND q.is_due)),
              (SELECT min(due_at) FROM call.queue WHERE NOT is_due))
            """);
        next.Parameters.Add(new() { Value = now });
        if (await next.ExecuteScalarAsync(ct) is not DateTime at)
        {
            return PollInterval;
        }

        var pause = new DateTimeOffset(at, TimeSpan.Zero) - now;
        return pause > PollInterval ? PollInterval : pause < ShortestPause ? ShortestPause : pause;
    }
}

/// <summary>A call taken up: its attempt is written, nothing is sent yet.</summary>
internal sealed record Claim(string CallId, int Attempt);
