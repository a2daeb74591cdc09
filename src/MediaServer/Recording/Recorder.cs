using System.Collections.Concurrent;
using Google.Protobuf;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Rooms;
using VoicePlatform.MediaServer.Webhooks;
using FileInfo = VoicePlatform.LiveKit.Protocol.FileInfo;

namespace VoicePlatform.MediaServer.Recording;

/// <summary>What somebody wants recorded.</summary>
/// <param name="Info">As it will be told of, the request in it, secrets left out.</param>
/// <param name="Channels">1: all mixed; 2: agents left, everybody else right.</param>
/// <param name="Path">Under the root; see <see cref="RecordingStore.PathOf"/>.</param>
/// <param name="Bucket">Null: it stays on this machine.</param>
internal sealed record RecordingOrder(EgressInfo Info, int Channels, string Path, S3Upload? Bucket);

/// <summary>
/// All recordings: begun, ended, brought to storage, told of by webhooks. A note beside each file says what it is until it is done, so
/// that a server that starts again finishes what another one left.
/// </summary>
internal sealed partial class Recorder : IAsyncDisposable
{
    private const int Remembered = 1_000;
    private const string NoteExtension = ".egress";

    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<string, (EgressInfo Info, RoomRecording? Running, Task Done)> _all = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _ended = new();
    private readonly RecordingStore _store;
    private readonly RecordingOptions _options;
    private readonly WebhookSender _webhooks;
    private readonly TimeProvider _clock;
    private readonly ILogger _log;
    private Task _recovering = Task.CompletedTask;

    public Recorder(RecordingOptions options, WebhookSender webhooks, TimeProvider clock, ILogger<Recorder> log)
    {
        (_options, _webhooks, _clock, _log) = (options, webhooks, clock, log);
        _store = new RecordingStore(options.Root, clock);
    }

    public IEnumerable<EgressInfo> All => _all.Values.Select(egress => Copy(egress.Info));

    /// <summary>Finishes what a server before this one left; in the background.</summary>
    public void Start() => _recovering = Task.Run(RecoverAsync);

    /// <summary>Begins a recording.</summary>
    /// <exception cref="RoomClosedException">The room has ended.</exception>
    /// <exception cref="IOException">The file cannot be made.</exception>
    public async Task<EgressInfo> StartAsync(RecordingOrder order, Rooms.Room room, CancellationToken ct)
    {
        var info = order.Info;
        var recording = new RoomRecording(new RecordingPlan(info.EgressId, info.RoomName, order.Channels), _clock, _log);
        var file = _store.Create(order.Path);

        // Known before its note is there: nobody takes it for one that another server left.
        _all[info.EgressId] = (info, recording, Task.CompletedTask);
        try
        {
            await File.WriteAllTextAsync(NoteOf(order.Path), JsonFormatter.Default.Format(info), ct);
            await recording.JoinAsync(room);
        }
        catch
        {
            await recording.LeaveAsync();
            recording.Dispose();
            await file.DisposeAsync();
            File.Delete(_store.FullPath(order.Path));
            File.Delete(NoteOf(order.Path));
            _all.TryRemove(info.EgressId, out _);
            throw;
        }

        // One that was stopped before it began ends at once.
        Change(info, i => (i.Status, i.StartedAt) = (i.Status is EgressStatus.EgressStarting ? EgressStatus.EgressActive : i.Status, NowNanoseconds()));
        Tell("egress_started", info);
        var running = RunAsync(order, recording, file);
        _all[info.EgressId] = (info, recording, running);
        return Copy(info);
    }

    /// <summary>Ends a recording; what was said until now is in it. Null when there is none of that id.</summary>
    public EgressInfo? Stop(string id)
    {
        if (!_all.TryGetValue(id, out var egress))
        {
            return null;
        }

        // One step with the telling: it may end by itself at this moment, and the end is the last to be told.
        var info = egress.Info;
        lock (info)
        {
            if (info.Status is EgressStatus.EgressActive or EgressStatus.EgressStarting)
            {
                Change(info, i => i.Status = EgressStatus.EgressEnding);
                Tell("egress_updated", info);
            }
        }

        egress.Running?.Stop();
        return Copy(info);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var (_, running, _) in _all.Values)
        {
            running?.Stop();
        }

        await Task.WhenAll([_recovering, .. _all.Values.Select(egress => egress.Done)])
            .WaitAsync(StopPatience, _clock).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task RunAsync(RecordingOrder order, RoomRecording recording, FileStream file)
    {
        await Task.Yield();
        var info = order.Info;
        try
        {
            var recorded = await recording.RunAsync(file);
            await FinishAsync(info, order.Path, order.Bucket, recorded);
        }
        catch (Exception e)
        {
            // Whatever was written stays, with its note: nobody else's recording is touched.
            LogFailed(_log, e, info.EgressId);
            Change(info, i => (i.Status, i.Error, i.EndedAt) = (EgressStatus.EgressFailed, e.Message, NowNanoseconds()));
            Tell("egress_ended", info);
        }

        recording.Dispose();
        Forget(info.EgressId);
    }

    /// <summary>
    /// Brings it to its place and tells of it. Its note goes when that was heard: until then a server that starts again tells it again.
    /// </summary>
    private async Task FinishAsync(EgressInfo info, string path, S3Upload? bucket, Recorded recorded)
    {
        var location = bucket is null ? _store.FullPath(path) : await _store.UploadAsync(path, bucket);
        var endedAt = NowNanoseconds();
        var done = Copy(info);
        Complete(done);
        await File.WriteAllTextAsync(NoteOf(path), JsonFormatter.Default.Format(done));
        if (bucket is not null)
        {
            File.Delete(_store.FullPath(path));
        }

        Change(info, Complete);
        TellDone(info, path);

        void Complete(EgressInfo i)
        {
            (i.Status, i.EndedAt) = (EgressStatus.EgressComplete, endedAt);
            i.FileResults.Clear();
            i.FileResults.Add(new FileInfo
            {
                Filename = path,
                Location = location,
                StartedAt = i.StartedAt,
                EndedAt = endedAt,
                Duration = recorded.Duration.Ticks * 100,
                Size = recorded.Bytes,
            });
        }
    }

    private void TellDone(EgressInfo info, string path) => Tell("egress_ended", info, () =>
    {
        try
        {
            File.Delete(NoteOf(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It is told twice, then.
            LogNoteStays(_log, e.Message);
        }
    });

    private async Task RecoverAsync()
    {
        if (!Directory.Exists(_options.Root))
        {
            return;
        }

        foreach (var note in Directory.EnumerateFiles(_options.Root, "*" + NoteExtension, SearchOption.AllDirectories).ToList())
        {
            try
            {
                var info = JsonParser.Default.Parse<EgressInfo>(await File.ReadAllTextAsync(note));
                var path = Path.GetRelativePath(_options.Root, note[..^NoteExtension.Length]);
                if (_all.ContainsKey(info.EgressId))
                {
                    continue;
                }

                if (info.Status is EgressStatus.EgressComplete)
                {
                    // Done, but nobody had heard of it.
                    _all[info.EgressId] = (info, null, Task.CompletedTask);
                    TellDone(info, path);
                    Forget(info.EgressId);
                    continue;
                }

                if (!File.Exists(_store.FullPath(path)))
                {
                    continue;
                }

                info.Details = "The server ended while it recorded: this is what it had recorded until then.";
                _all[info.EgressId] = (info, null, Task.CompletedTask);
                await FinishAsync(info, path, BucketOf(info), OggOpusReader.Measure(_store.FullPath(path)));
                Forget(info.EgressId);
                LogRecovered(_log, info.EgressId);
            }
            catch (Exception e)
            {
                // One that cannot be finished keeps its note, and is tried again at the next start.
                LogNotRecovered(_log, e, note);
            }
        }
    }

    /// <summary>Where it was to go; the note has no secrets, so the operator's own serve.</summary>
    private S3Upload? BucketOf(EgressInfo info)
    {
        var asked = info.RoomComposite?.FileOutputs.FirstOrDefault()?.S3 ?? info.RoomComposite?.File?.S3
            ?? info.Egress?.Outputs.FirstOrDefault()?.Storage?.S3 ?? info.Egress?.Storage?.S3;
        if (asked is null)
        {
            return null;
        }

        var bucket = asked.Clone();
        (bucket.AccessKey, bucket.Secret) = (_options.StorageKey ?? "", _options.StorageSecret ?? "");
        return bucket;
    }

    private void Change(EgressInfo info, Action<EgressInfo> change)
    {
        lock (info)
        {
            change(info);
            info.UpdatedAt = NowNanoseconds();
        }
    }

    private static EgressInfo Copy(EgressInfo info)
    {
        lock (info)
        {
            return info.Clone();
        }
    }

    private void Tell(string name, EgressInfo info, Action? told = null) =>
        _webhooks.Enqueue(info.RoomName, new WebhookEvent { Event = name, EgressInfo = Copy(info) }, told);

    private void Forget(string id)
    {
        _ended.Enqueue(id);
        while (_ended.Count > Remembered && _ended.TryDequeue(out var oldest))
        {
            _all.TryRemove(oldest, out _);
        }
    }

    private string NoteOf(string path) => _store.FullPath(path) + NoteExtension;

    private long NowNanoseconds() => (_clock.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * 100;

    [LoggerMessage(Level = LogLevel.Error, Message = "Recording {EgressId} failed; what was recorded is kept")]
    private static partial void LogFailed(ILogger log, Exception exception, string egressId);

    [LoggerMessage(Level = LogLevel.Information, Message = "Recording {EgressId} was left by a server that ended; it is finished now")]
    private static partial void LogRecovered(ILogger log, string egressId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The note of a recording that is done could not be removed: {Reason}")]
    private static partial void LogNoteStays(ILogger log, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "The recording of {Note} could not be finished yet")]
    private static partial void LogNotRecovered(ILogger log, Exception exception, string note);
}
