using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.MediaServer.Recording;

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
