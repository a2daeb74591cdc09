using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.MediaServer.Recording;
using VoicePlatform.MediaServer.Rooms;

namespace VoicePlatform.MediaServer.ServerApi;

/// <summary><c>livekit.Egress</c>, as far as it is sound: a room's audio into an Ogg file. What cannot be recorded is refused, never left out in silence.</summary>
internal sealed class EgressApi(RoomDirectory rooms, Recorder? recorder, TimeProvider clock)
{
    private const string Hidden = "{redacted}";

    public TwirpService ToService() => new TwirpService("livekit.Egress")
        .Add<RoomCompositeEgressRequest, EgressInfo>("StartRoomCompositeEgress", StartCompositeAsync)
        .Add<StartEgressRequest, EgressInfo>("StartEgress", StartAsync)
        .Add<StopEgressRequest, EgressInfo>("StopEgress", (request, caller, _) => Task.FromResult(Stop(request, caller)))
        .Add<ListEgressRequest, ListEgressResponse>("ListEgress", (request, caller, _) => Task.FromResult(List(request, caller)))
        .Add<WebEgressRequest, EgressInfo>("StartWebEgress", (_, caller, _) => NotHere(caller, "web pages"))
        .Add<ParticipantEgressRequest, EgressInfo>("StartParticipantEgress", (_, caller, _) => NotHere(caller, "single participants"))
        .Add<TrackCompositeEgressRequest, EgressInfo>("StartTrackCompositeEgress", (_, caller, _) => NotHere(caller, "single tracks"))
        .Add<TrackEgressRequest, EgressInfo>("StartTrackEgress", (_, caller, _) => NotHere(caller, "single tracks"))
        .Add<UpdateLayoutRequest, EgressInfo>("UpdateLayout", (_, caller, _) => NotHere(caller, "video layouts"))
        .Add<UpdateStreamRequest, EgressInfo>("UpdateStream", (_, caller, _) => NotHere(caller, "streams"));

    /// <summary>For a room that is to be recorded from its beginning.</summary>
    public Task<EgressInfo> StartAsync(RoomCompositeEgressRequest request, CancellationToken cancellationToken)
    {
        Require(request.AudioOnly && !request.VideoOnly, "this server records sound: set audio_only");
        Require(request.StreamOutputs.Count == 0 && request.SegmentOutputs.Count == 0 && request.ImageOutputs.Count == 0
            && request.OutputCase is RoomCompositeEgressRequest.OutputOneofCase.None or RoomCompositeEgressRequest.OutputOneofCase.File, "this server records into files only");
#pragma warning disable CS0612 // older clients put the one file here
        var file = request.FileOutputs.Count > 0 ? request.FileOutputs[0] : request.File;
#pragma warning restore CS0612
        Require(file is not null && request.FileOutputs.Count <= 1, "one file output is needed");
        Require(file!.OutputCase is EncodedFileOutput.OutputOneofCase.None or EncodedFileOutput.OutputOneofCase.S3, "this server stores files on its disk or in S3-compatible storage");
        Require(file.FileType is EncodedFileType.DefaultFiletype or EncodedFileType.Ogg, "this server records Ogg files");
        var shown = request.Clone();
#pragma warning disable CS0612
        Redact(shown.File?.S3);
#pragma warning restore CS0612
        shown.FileOutputs.Select(output => output.S3).ToList().ForEach(Redact);
        var channels = request.AudioMixing is AudioMixing.DefaultMixing ? 1 : 2;
        return BeginAsync(request.RoomName, info => info.RoomComposite = shown, channels, file.Filepath, file.S3, cancellationToken);
    }

    private Task<EgressInfo> StartCompositeAsync(RoomCompositeEgressRequest request, VerifiedToken? caller, CancellationToken cancellationToken)
    {
        Grants.RequireRoomRecord(caller);
        return StartAsync(request, cancellationToken);
    }

    private Task<EgressInfo> StartAsync(StartEgressRequest request, VerifiedToken? caller, CancellationToken cancellationToken)
    {
        Grants.RequireRoomRecord(caller);
        var isSound = request.SourceCase is StartEgressRequest.SourceOneofCase.Template ? request.Template.AudioOnly
            : request.SourceCase is StartEgressRequest.SourceOneofCase.Media && request.Media.VideoCase is MediaSource.VideoOneofCase.None && request.Media.Audio is not null;
        Require(isSound, "this server records a room's sound: a template with audio_only, or media with audio alone");
        Require(request.Outputs is [{ ConfigCase: Output.ConfigOneofCase.File }], "one file output is needed");
        var output = request.Outputs[0];
        var storage = output.Storage ?? request.Storage;
        Require(storage is null || storage.ProviderCase is StorageConfig.ProviderOneofCase.None or StorageConfig.ProviderOneofCase.S3, "this server stores files on its disk or in S3-compatible storage");
        Require(output.File.FileType is EncodedFileType.DefaultFiletype or EncodedFileType.Ogg, "this server records Ogg files");
        var routes = request.Media?.Audio?.Routes ?? [];
        Require(routes.All(route => route.MatchCase is AudioRoute.MatchOneofCase.ParticipantKind), "this server routes sound by the kind of participant");
        var shown = request.Clone();
        Redact(shown.Storage?.S3);
        Redact(shown.Outputs[0].Storage?.S3);
        var isApart = routes.Any(route => route.Channel is not AudioChannel.Both);
        return BeginAsync(request.RoomName, info => info.Egress = shown, isApart ? 2 : 1, output.File.Filepath, storage?.S3, cancellationToken);
    }

    private async Task<EgressInfo> BeginAsync(
        string roomName, Action<EgressInfo> describe, int channels, string asked, S3Upload? bucket, CancellationToken cancellationToken)
    {
        var recording = recorder ?? throw new TwirpException(TwirpCode.Unavailable, "this server has no place for recordings");
        var room = rooms.Find(roomName) ?? throw TwirpException.NoRoom();
        var path = RecordingStore.PathOf(asked, roomName, room.Sid, clock.GetUtcNow())
            ?? throw new TwirpException(TwirpCode.InvalidArgument, "filepath must be a plain relative path");
        var info = new EgressInfo
        {
            EgressId = Sid.Egress(),
            RoomId = room.Sid,
            RoomName = roomName,
            SourceType = EgressSourceType.Sdk,
            Status = EgressStatus.EgressStarting,
        };
        describe(info);
        try
        {
            return await recording.StartAsync(new RecordingOrder(info, channels, path, bucket), room, cancellationToken);
        }
        catch (RoomClosedException)
        {
            throw TwirpException.NoRoom();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new TwirpException(TwirpCode.FailedPrecondition, $"the recording's file cannot be made: {e.Message}");
        }
    }

    private EgressInfo Stop(StopEgressRequest request, VerifiedToken? caller)
    {
        Grants.RequireRoomRecord(caller);
        return recorder?.Stop(request.EgressId) ?? throw new TwirpException(TwirpCode.NotFound, "egress does not exist");
    }

    private ListEgressResponse List(ListEgressRequest request, VerifiedToken? caller)
    {
        Grants.RequireRoomRecord(caller);
        var response = new ListEgressResponse();
        response.Items.Add((recorder?.All ?? []).Where(info => (request.RoomName.Length == 0 || info.RoomName == request.RoomName)
            && (request.EgressId.Length == 0 || info.EgressId == request.EgressId)
            && (!request.Active || info.Status is EgressStatus.EgressStarting or EgressStatus.EgressActive or EgressStatus.EgressEnding)));
        return response;
    }

    private static Task<EgressInfo> NotHere(VerifiedToken? caller, string what)
    {
        Grants.RequireRoomRecord(caller);
        throw new TwirpException(TwirpCode.Unimplemented, $"this server does not record {what}");
    }

    private static void Redact(S3Upload? bucket)
    {
        if (bucket is not null)
        {
            (bucket.AccessKey, bucket.Secret, bucket.SessionToken) = (Hidden, Hidden, Hidden);
        }
    }

    private static void Require(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new TwirpException(TwirpCode.InvalidArgument, otherwise);
        }
    }
}
