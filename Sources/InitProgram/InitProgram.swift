// SPDX-License-Identifier: Apache-2.0

// Pure: what an init process will do, as values.
//
//   InitStep                one thing that the child does
//   Steps/                  the child's steps: everything of one theme in one file
//   StepValues, AttributeValues, Namespaces, PlannedHook  what steps are made of
//   KeptDescriptors         what a phase keeps open: what the steps behind it need
//   PlannedStep, Origin     a step with what asks for it
//   Exchange                what runtime and child tell each other
//   Explanation, Summaries  steps and instructions as text (`swrunc explain`)
//   RenderedStructures      structures behind the operands of a call, as text
//   Lowering                the steps become instructions of the machine
//   Assembler               the program under construction
//   Assembler+*             what several themes are lowered to: paths, mounts, messages
//   KernelStructures        structures of the kernel as programs fill and read them
//   Program                 the program, finished: instructions, cells, data
//   PackedInstruction       an instruction as a program keeps it
//   SystemCall              the calls that instructions make: number and name
//   ProgramChecker          the rules that the machine relies on
//   Prologue                what a child that is born empty does before its program
//   ProgramImage+HostProgram  a program of the host that keeps descriptors, perhaps with mounts of its own
//   ProgramImage+PathLook  the program of a process that looks at paths
//   ProgramImage+ScopeKeeper, Program+Waiting  programs of processes that only keep a scope, a namespace
//   ProgramImage+Guard      the program of the process that kills another one if the runtime dies
//   ProgramImage+TreeCopy   the program of the process that fills a tmpfs: tmpcopyup
//   TimeMark                where a child notes when its steps begin, if its launch is timed
//   HashedPlaces            the places of a list's elements, by hash

// Every file sees ByteText: its way to print a number in a text must be seen wherever one is printed,
// or the standard library's slower one is taken without a word. Nothing outside the package sees it.
@_exported public import ByteText
