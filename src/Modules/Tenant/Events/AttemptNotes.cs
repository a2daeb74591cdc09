using System.Threading.Channels;

namespace VoicePlatform.Tenants.Events;

/// <summary>Notes the results of many attempts in one round trip. Whoever sends waits when the database is far behind.</summary>
internal sealed partial class AttemptNotes(DeliveryQueue queue, DueLanes due, TimeProvider clock, ILogger log)
{
    private const int Batch = 256;
    private static readonly TimeSpan BeforeRepeating = TimeSpan.FromSeconds(1);

    private readonly Channel<AttemptResult> _results = Channel.CreateBounded<AttemptResult>(DeliveryLanes.InAll);

    public ValueTask AddAsync(AttemptResult result, CancellationToken ct) => _results.Writer.WriteAsync(result, ct);

    public void Complete() => _results.Writer.Complete();

    /// <summary>Ends when completed and everything is noted, or with the token.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        var batch = new List<AttemptResult>(Batch);
        while (await _results.Reader.WaitToReadAsync(ct))
        {
            batch.Clear();
            while (batch.Count < Batch && _results.Reader.TryRead(out var result))
            {
                batch.Add(result);
            }

            await NoteAsync(batch, ct);
        }
    }

    /// <summary>A database that is away for a moment must not make us send again; past the lease the result is worth nothing.</summary>
    private async Task NoteAsync(List<AttemptResult> batch, CancellationToken ct)
    {
        var giveUpAt = clock.GetUtcNow() + DeliveryQueue.Lease;
        while (true)
        {
            try
            {
                var released = await queue.NoteAsync(batch, ct);
                if (released.Count > 0)
                {
                    due.Mark(released);
                }

                return;
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                Failed(log, batch.Count, e);
                if (clock.GetUtcNow() > giveUpAt)
                {
                    return;
                }

                await Task.Delay(BeforeRepeating, clock, ct);
            }
        }
    }

    [LoggerMessage(LogLevel.Error, "The results of {Count} deliveries could not be noted")]
    private static partial void Failed(ILogger logger, int count, Exception exception);
}
