using VoicePlatform.LiveKit.Rtc.Ffi;
using Case = VoicePlatform.LiveKit.Rtc.Ffi.FfiEvent.MessageOneofCase;

namespace VoicePlatform.LiveKit.Rtc.Native;

/// <summary>Whom an event of the library concerns.</summary>
internal static class FfiEvents
{
    /// <summary>The handle of the object an event is about, or null when it answers a request.</summary>
    public static ulong? Listener(FfiEvent message) => message.MessageCase switch
    {
        Case.RoomEvent => message.RoomEvent.RoomHandle,
        Case.RpcMethodInvocation => message.RpcMethodInvocation.LocalParticipantHandle,
        Case.TextStreamReaderEvent => message.TextStreamReaderEvent.ReaderHandle,
        Case.ByteStreamReaderEvent => message.ByteStreamReaderEvent.ReaderHandle,
        _ => null,
    };

    public static ulong? AsyncId(FfiEvent message) => message.MessageCase switch
    {
        Case.Connect => message.Connect.AsyncId,
        Case.Disconnect => message.Disconnect.AsyncId,
        Case.PublishTrack => message.PublishTrack.AsyncId,
        Case.UnpublishTrack => message.UnpublishTrack.AsyncId,
        Case.PublishData => message.PublishData.AsyncId,
        Case.PublishSipDtmf => message.PublishSipDtmf.AsyncId,
        Case.SetLocalMetadata => message.SetLocalMetadata.AsyncId,
        Case.SetLocalName => message.SetLocalName.AsyncId,
        Case.SetLocalAttributes => message.SetLocalAttributes.AsyncId,
        Case.PerformRpc => message.PerformRpc.AsyncId,
        Case.SendText => message.SendText.AsyncId,
        Case.SendBytes => message.SendBytes.AsyncId,
        Case.TextStreamOpen => message.TextStreamOpen.AsyncId,
        Case.TextStreamWriterWrite => message.TextStreamWriterWrite.AsyncId,
        Case.TextStreamWriterClose => message.TextStreamWriterClose.AsyncId,
        Case.ByteStreamReaderReadAll => message.ByteStreamReaderReadAll.AsyncId,
        _ => null,
    };

    /// <summary>Gives back what an event owns, for an event nobody takes.</summary>
    public static void DropHandles(FfiEvent message)
    {
        switch (message.MessageCase)
        {
            case Case.RoomEvent:
                DropHandles(message.RoomEvent);
                break;
            case Case.Connect when message.Connect.Result is { } connected:
                Drop(connected.LocalParticipant.Handle);
                foreach (var participant in connected.Participants)
                {
                    Drop(participant.Participant.Handle);
                    foreach (var publication in participant.Publications)
                    {
                        Drop(publication.Handle);
                    }
                }

                // Last, for with the room's handle the connection goes.
                Drop(connected.Room.Handle);
                break;
            case Case.PublishTrack when message.PublishTrack.Publication is { } publication:
                Drop(publication.Handle);
                break;
            case Case.TextStreamOpen when message.TextStreamOpen.Writer is { } writer:
                Drop(writer.Handle);
                break;
        }
    }

    public static void DropHandles(Ffi.RoomEvent message)
    {
        switch (message.MessageCase)
        {
            case Ffi.RoomEvent.MessageOneofCase.DataPacketReceived when message.DataPacketReceived.User is { } user:
                Drop(user.Data.Handle);
                break;
            case Ffi.RoomEvent.MessageOneofCase.TextStreamOpened:
                Drop(message.TextStreamOpened.Reader.Handle);
                break;
            case Ffi.RoomEvent.MessageOneofCase.ByteStreamOpened:
                Drop(message.ByteStreamOpened.Reader.Handle);
                break;
            case Ffi.RoomEvent.MessageOneofCase.ParticipantConnected:
                Drop(message.ParticipantConnected.Info.Handle);
                break;
            case Ffi.RoomEvent.MessageOneofCase.TrackPublished:
                Drop(message.TrackPublished.Publication.Handle);
                break;
            case Ffi.RoomEvent.MessageOneofCase.TrackSubscribed:
                Drop(message.TrackSubscribed.Track.Handle);
                break;
        }
    }

    private static void Drop(FfiOwnedHandle handle) => NativeMethods.DropHandle(handle.Id);
}
