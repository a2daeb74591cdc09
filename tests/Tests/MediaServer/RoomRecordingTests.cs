using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer;
using VoicePlatform.MediaServer.Recording;
using VoicePlatform.MediaServer.Rooms;
using VoicePlatform.MediaServer.Sip.Media.Codecs;
using VoicePlatform.MediaServer.Webhooks;
using VoicePlatform.Tests.MediaServer.Sip.Media;
using VoicePlatform.Tests.Support;

namespace VoicePlatform.Tests.MediaServer;

/// <summary>What a recorder leaves behind in its room and on its disk when it cannot go on.</summary>
internal sealed class RoomRecordingTests
{
    [Test]
    public async Task A_recorder_whose_file_cannot_be_written_leaves_the_room()
    {
        await using var server = await TestServer.StartAsync();
        var room = server.Server.Rooms.GetOrCreate(new RoomConfiguration(), "r", out _);
        using var recording = new RoomRecording(new RecordingPlan("EG_x", "r", 1), TimeProvider.System, NullLogger.Instance);
        await recording.JoinAsync(room);
        Assert.That(await IdentitiesAsync(), Is.EqualTo(new[] { "EG_x" }));
        var file = new FullDisk();

        Assert.That(() => recording.RunAsync(file), Throws.InstanceOf<IOException>());

        Assert.That(await IdentitiesAsync(), Is.Empty);
        Assert.That(file.IsClosed, Is.True);

        async Task<IEnumerable<string>> IdentitiesAsync() =>
            (await room.AskAsync(room.ListParticipants, CancellationToken.None)).Select(participant => participant.Identity);
    }

    [Test]
    public async Task A_recording_is_known_before_its_note_is_there()
    {
        var folder = Directory.CreateTempSubdirectory("recording");
        try
        {
            await using var server = await TestServer.StartAsync();
            await using var webhooks = new WebhookSender(
                new MediaServerOptions { ApiKeys = new Dictionary<string, string> { [TestServer.Key.Id] = TestServer.Key.Secret } }, TimeProvider.System, NullLogger.Instance);
            await using var recorder = new Recorder(new RecordingOptions { Root = folder.FullName }, webhooks, TimeProvider.System, NullLogger<Recorder>.Instance);
            var room = server.Server.Rooms.GetOrCreate(new RoomConfiguration(), "r", out _);
            using var busy = new ManualResetEventSlim();
            Assert.That(room.TryPost(busy.Wait), Is.True);
            var order = new RecordingOrder(new EgressInfo { EgressId = "EG_x", RoomName = "r" }, 1, "x.ogg", null);

            var starting = recorder.StartAsync(order, room, CancellationToken.None);
            List<string> known;
            try
            {
                await TestServer.Until(() => File.Exists(Path.Combine(folder.FullName, "x.ogg.egress")), "its note");
                known = [.. recorder.All.Select(info => info.EgressId)];
            }
            finally
            {
                busy.Set();
            }

            Assert.That(known, Is.EqualTo(new[] { "EG_x" }));
            Assert.That((await starting).Status, Is.EqualTo(EgressStatus.EgressActive));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Test]
    public async Task What_was_said_before_a_track_began_anew_is_recorded()
    {
        var silent = await RecordAsync(0);
        Assert.That(await RecordAsync(10), Is.GreaterThan(silent + 300), "bytes: sound takes more of them than silence");
    }

    /// <summary>Records a second, in which a track with a tone of so many frames ends and begins again within one turn.</summary>
    private static async Task<long> RecordAsync(int frames)
    {
        var clock = new ManualTime();
        using var recording = new RoomRecording(new RecordingPlan("EG_x", "r", 1), clock, NullLogger.Instance);
        var (observer, track) = ((ILocalObserver)recording, new TrackInfo { Sid = "TR_x" });
        var tape = observer.OnTrack(new ParticipantInfo(), track)!;
        using var encoder = new OpusEncoder(48_000, complexity: 5);
        var packet = new byte[1_275];
        for (var i = 0; i < frames; i++)
        {
            var length = encoder.Encode(Sound.Tone(440, 48_000, 960, offset: 960 * i), packet);
            tape.OnFrame((ushort)i, (uint)(960 * i), packet.AsSpan(0, length));
        }

        observer.OnTrackEnded(track.Sid);
        observer.OnTrack(new ParticipantInfo(), track);

        var running = recording.RunAsync(new MemoryStream());
        await TestServer.Until(() => clock.IsSet(TimeSpan.FromMilliseconds(200)), "the recorder waits for its next turn");
        clock.Advance(TimeSpan.FromSeconds(1));
        recording.Stop();
        return (await running).Bytes;
    }

    private sealed class FullDisk : MemoryStream
    {
        public bool IsClosed { get; private set; }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            throw new IOException("No space left on device");

        protected override void Dispose(bool disposing)
        {
            IsClosed = true;
            base.Dispose(disposing);
        }
    }
}
