using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Rooms;
using VoicePlatform.MediaServer.Transport;
using Room = VoicePlatform.MediaServer.Rooms.Room;

namespace VoicePlatform.MediaServer.Recording;

/// <summary>
/// Records one room: a hidden participant that hears everybody, a mix that follows the clock, a file that grows by a page a second.
/// Ends when it is stopped or its room ends, whichever is first.
/// </summary>
internal sealed partial class RoomRecording(RecordingPlan plan, TimeProvider clock, ILogger log) : ILocalObserver, IDisposable
{
    // Nobody waits for the mix: it may come by rarely, and well behind the sound, so that what was delayed still finds its place.
    private static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan Behind = TimeSpan.FromMilliseconds(500);

    private readonly ConcurrentQueue<Action<Dictionary<string, TrackReel>, List<TrackReel>>> _changes = new();   // from the room's loop to the recorder
    private readonly CancellationTokenSource _stop = new();
    private LocalParticipant? _participant;

    /// <summary>Stops soon; what has come until now is kept.</summary>
    public void Stop()
    {
        try
        {
            _stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It is over already.
        }
    }

    public void Dispose() => _stop.Dispose();

    /// <summary>Joins, whether or not somebody still waits for that: a join given up halfway would leave a participant nobody takes out.</summary>
    /// <exception cref="RoomClosedException">The room has ended.</exception>
    public async Task JoinAsync(Room room)
    {
        _participant = await room.JoinLocalAsync(
            new LocalJoin
            {
                Identity = plan.EgressId,
                Kind = ParticipantInfo.Types.Kind.Egress,
                Permission = new ParticipantPermission { CanSubscribe = true, Hidden = true, Recorder = true },
            },
            this,
            CancellationToken.None);
        await _participant.ListenAsync(CancellationToken.None);
    }

    public ValueTask LeaveAsync() => _participant?.LeaveAsync(DisconnectReason.ClientInitiated) ?? ValueTask.CompletedTask;

    /// <summary>Records to the end, and leaves the room whatever comes.</summary>
    /// <param name="file">Owned by this recording from now on.</param>
    /// <returns>How much.</returns>
    /// <exception cref="IOException">The file cannot be written; what was written so far stays.</exception>
    public async Task<Recorded> RunAsync(Stream file)
    {
        var reels = new Dictionary<string, TrackReel>(StringComparer.Ordinal);
        var over = new List<TrackReel>();
        try
        {
            await using var closing = file;
            using var mix = new Mix(plan.Channels);
            await using var writer = await OggOpusWriter.CreateAsync(file, plan.Channels, Mix.Rate, [$"TITLE={plan.RoomName}"], CancellationToken.None);
            var sums = new int[plan.Channels * Mix.FrameSamples];
            var startedAt = clock.GetTimestamp();
            var mixed = 0L;
            using var timer = new PeriodicTimer(Turn, clock);
            while (true)
            {
                var stopped = _stop.IsCancellationRequested;
                Change(reels, over);
                var now = clock.GetElapsedTime(startedAt);
                var due = (long)((now - (stopped ? TimeSpan.Zero : Behind)).TotalSeconds * Mix.Rate);
                while (mixed + Mix.FrameSamples <= due)
                {
                    mixed = await MixFrameAsync(reels.Values.Concat(over), mix, writer, sums, startedAt, mixed);
                }

                Drop(over, mixed);
                if (stopped)
                {
                    break;
                }

                await ((Task)timer.WaitForNextTickAsync(_stop.Token).AsTask()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            await writer.CompleteAsync(CancellationToken.None);
            return new Recorded(writer.Duration, writer.Bytes);
        }
        finally
        {
            foreach (var reel in reels.Values.Concat(over))
            {
                if (reel.Tape.Dropped > 0)
                {
                    LogDropped(log, plan.EgressId, reel.Tape.Dropped);
                }

                reel.Dispose();
            }

            await LeaveAsync();
        }
    }

    IAudioSink ILocalObserver.OnTrack(ParticipantInfo publisher, TrackInfo track)
    {
        var tape = new TrackTape(clock);
        var isAgent = publisher.Kind is ParticipantInfo.Types.Kind.Agent;
        var reel = new TrackReel(tape, plan.Channels == 2 && !isAgent ? 1 : 0, clock);
        _changes.Enqueue((reels, over) =>
        {
            EndReel(track.Sid, reels, over);
            reels.Add(track.Sid, reel);
        });
        return tape;
    }

    void ILocalObserver.OnTrackEnded(string trackSid) => _changes.Enqueue((reels, over) => EndReel(trackSid, reels, over));

    void ILocalObserver.OnData(DataPacket packet)
    {
    }

    void ILocalObserver.OnOthersChanged()
    {
    }

    void ILocalObserver.OnLeft(DisconnectReason reason) => Stop();

    private void Change(Dictionary<string, TrackReel> reels, List<TrackReel> over)
    {
        while (_changes.TryDequeue(out var change))
        {
            change(reels, over);
        }
    }

    // A track may end and begin again between two turns: what the former reel still holds is heard to its end.
    private static void EndReel(string sid, Dictionary<string, TrackReel> reels, List<TrackReel> over)
    {
        if (reels.Remove(sid, out var reel))
        {
            reel.IsOver = true;
            over.Add(reel);
        }
    }

    private static async ValueTask<long> MixFrameAsync(
        IEnumerable<TrackReel> reels, Mix mix, OggOpusWriter writer, int[] sums, long startedAt, long mixed)
    {
        Array.Clear(sums);
        foreach (var reel in reels)
        {
            reel.Wind(startedAt, mixed);
            reel.Unwind(sums.AsSpan(reel.Channel * Mix.FrameSamples, Mix.FrameSamples), mixed);
        }

        await writer.WriteAsync(mix.Encode(sums), samples: 960, CancellationToken.None);
        return mixed + Mix.FrameSamples;
    }

    private static void Drop(List<TrackReel> over, long mixed)
    {
        foreach (var reel in over.Where(reel => reel.IsEmpty(mixed)).ToList())
        {
            over.Remove(reel);
            reel.Dispose();
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Recording {EgressId} lost {Frames} frames: this machine was too slow")]
    private static partial void LogDropped(ILogger log, string egressId, long frames);
}

/// <param name="Channels">1: all mixed; 2: agents left, everybody else right.</param>
internal sealed record RecordingPlan(string EgressId, string RoomName, int Channels);

/// <param name="Bytes">Of the file.</param>
internal sealed record Recorded(TimeSpan Duration, long Bytes);
