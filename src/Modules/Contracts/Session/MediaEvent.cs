namespace VoicePlatform.Contracts.Sessions;

/// <summary>
/// What LiveKit told by webhook, its signature checked. It may come twice and late: reactions tolerate both. Published outside any
/// transaction; a reaction that fails makes LiveKit send it again.
/// </summary>
/// <param name="Id">LiveKit's id of the event, the same when it is sent again.</param>
/// <param name="Kind">LiveKit's name of it ("participant_joined").</param>
/// <param name="RoomName">Empty where it is about no room.</param>
public sealed record MediaEvent(string Id, string Kind, DateTimeOffset CreatedAt, string RoomName, MediaParticipant? Participant, MediaRecording? Recording) : INotification;

/// <param name="IsPhone">A SIP participant.</param>
/// <param name="IsAgent">An agent, ours or another's.</param>
/// <param name="Attributes">Of a telephone: sip.callID, sip.trunkID, sip.phoneNumber, sip.trunkPhoneNumber, sip.callStatus …</param>
public sealed record MediaParticipant(string Identity, string Name, bool IsPhone, bool IsAgent, IReadOnlyDictionary<string, string> Attributes);

/// <param name="EgressId">LiveKit's id of the recording.</param>
/// <param name="IsOver">Nothing more will be written.</param>
/// <param name="Error">Empty where all went well.</param>
/// <param name="SizeBytes">0 while unknown.</param>
public sealed record MediaRecording(string EgressId, bool IsOver, string Error, string Location, TimeSpan Duration, long SizeBytes);
