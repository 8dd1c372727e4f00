-- The health of a resource of Kastellan, of any kind, for Argo CD. It needs no library that Argo CD keeps closed.
-- A resource that is being deleted is not asked about: Argo CD shows it as Progressing, "Pending deletion".
local said = obj.status or {}
if said.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "the operator has not looked at it yet"}
end
local ready = nil
for _, condition in ipairs(said.conditions or {}) do
  if condition.type == "Ready" then ready = condition end
  if condition.type == "Stalled" and condition.status == "True" then
    return {status = "Degraded", message = condition.reason .. ": " .. condition.message}
  end
end
if ready == nil then
  return {status = "Progressing", message = "the operator has not said anything yet"}
end
if ready.status == "True" then
  return {status = "Healthy", message = ready.message}
end
if ready.reason == "Suspended" then
  return {status = "Suspended", message = ready.message}
end
-- To be observed is all that is declared, and so it is.
if ready.reason == "Observing" then
  return {status = "Healthy", message = ready.message}
end
return {status = "Progressing", message = ready.reason .. ": " .. ready.message}
