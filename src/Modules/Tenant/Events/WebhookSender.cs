using System.Collections.Concurrent;
using VoicePlatform.Tenants.Data;

namespace VoicePlatform.Tenants.Events;

/// <summary>
/// Sends due deliveries: claimed in batches under a lease, each receiver no more than it has places, sent outside any transaction, hundreds
/// at a time, in order for each subject at a receiver. A crash between sending and noting it sends again: receivers know a repeat by webhook-id.
/// </summary>
internal sealed partial class WebhookSender(
    DeliveryQueue queue, DeliveryAttempt attempt, DueLanes due, Transactions transactions, TimeProvider clock, ILogger<WebhookSender> log) : BackgroundService
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(1);

    // Claims are gathered for this long: one round trip for what many commits made due.
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(10);

    // When the host stops, what is under way has this long to end; the rest is sent again after the next start.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private readonly DeliveryLanes _lanes = new();
    private readonly ConcurrentDictionary<Task, bool> _sending = new();

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var abort = new CancellationTokenSource();
        var notes = new AttemptNotes(queue, due, clock, log);
        var noting = notes.RunAsync(abort.Token);
        await ClaimUntilStoppedAsync(notes, abort.Token, stoppingToken);
        abort.CancelAfter(Grace);
        await Task.WhenAll(_sending.Keys);
        notes.Complete();
        await noting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task ClaimUntilStoppedAsync(AttemptNotes notes, CancellationToken abort, CancellationToken stoppingToken)
    {
        var polledAt = clock.GetTimestamp() - clock.TimestampFrequency * (long)PollInterval.TotalSeconds;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                _lanes.MarkDue(due.Take());
                if (clock.GetElapsedTime(polledAt) >= PollInterval)
                {
                    polledAt = clock.GetTimestamp();
                    _lanes.MarkDue(await queue.FindDueAsync(stoppingToken));
                }

                if (!await ClaimAsync(notes, abort, stoppingToken))
                {
                    await due.WaitAsync(PollInterval, clock, stoppingToken);
                }

                await Task.Delay(Pace, clock, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                Failed(log, e);
                await Task.Delay(PollInterval, clock, CancellationToken.None);
            }
        }
    }

    /// <returns>Whether there was anything to look for.</returns>
    private async Task<bool> ClaimAsync(AttemptNotes notes, CancellationToken abort, CancellationToken ct)
    {
        var plan = _lanes.Plan();
        if (plan.Count == 0)
        {
            return false;
        }

        IReadOnlyList<ClaimedDelivery> claimed = [];
        IReadOnlyDictionary<string, int> found = new Dictionary<string, int>();
        var isKnown = false;
        try
        {
            (claimed, found) = await queue.ClaimAsync(plan, ct);
            isKnown = true;
        }
        finally
        {
            // Also when the claim failed: the places are free again, and the lanes as due as before.
            var sending = claimed.GroupBy(d => d.Lane).ToDictionary(g => g.Key, g => g.Count());
            foreach (var lane in plan)
            {
                _lanes.Claimed(lane, isKnown ? found.GetValueOrDefault(lane.Lane) : lane.Places, sending.GetValueOrDefault(lane.Lane));
            }
        }

        foreach (var delivery in claimed)
        {
            var task = SendAsync(delivery, notes, abort);
            _sending.TryAdd(task, true);
            _ = task.ContinueWith(t => _sending.TryRemove(t, out _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }

        return true;
    }

    /// <summary>Never fails: what could not be noted is sent again when its lease is over.</summary>
    private async Task SendAsync(ClaimedDelivery delivery, AttemptNotes notes, CancellationToken ct)
    {
        await Task.Yield();
        var hung = false;
        try
        {
            var result = await attempt.SendAsync(delivery, ct);
            hung = result.Error == DeliveryAttempt.NoAnswer;

            // Checkpoint: a crash after this line sends the same bytes under the same webhook-id again.
            await notes.AddAsync(result, ct);
            WebhookMetrics.Attempted(result.IsDelivered ? "delivered" : result.NextAt is null ? "given_up" : "retry", result.Took);
            if (!result.IsDelivered)
            {
                AttemptFailed(log, delivery.Id, delivery.Try, result.Status ?? 0);
            }

            if (result.Status is StatusCodes.Status410Gone && delivery.WebhookId is { } webhookId)
            {
                await DisableAsync(delivery.TenantId, webhookId, ct);
            }
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
            if (_lanes.Ended(delivery.Lane, hung))
            {
                due.Wake();
            }
        }
    }

    private async Task DisableAsync(string tenantId, string webhookId, CancellationToken ct)
    {
        var caller = new Caller();
        caller.Become(tenantId, null, null, false);
        await transactions.RunAsync(caller, (scope, token) => scope.GetRequiredService<WebhookHealth>().DisableAsync(webhookId, DisabledReason.Gone, token), ct);
    }

    [LoggerMessage(LogLevel.Warning, "Delivery {DeliveryId} failed attempt {Attempt} with status {Status}")]
    private static partial void AttemptFailed(ILogger logger, string deliveryId, int attempt, int status);

    [LoggerMessage(LogLevel.Error, "Sending webhooks failed")]
    private static partial void Failed(ILogger logger, Exception exception);
}
